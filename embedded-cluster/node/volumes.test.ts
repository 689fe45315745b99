import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { KubernetesObject, Pod, Volume } from '../../api/kubernetes-types.ts';
import { temporaryFolder } from '../../test/testing/cleaner.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { MemoryApi } from '../testing/memory-api.ts';
import { MountError, PodVolumes } from './volumes.ts';

const place = { podIp: '127.64.0.2', hostIp: '127.64.0.1', nodeCpu: 2, nodeMemoryBytes: 2 ** 30 };

function podWith(...volumes: Volume[]): Pod {
  return {
    metadata: { name: 'p', namespace: 'n', uid: 'u', labels: { app: 'x' } },
    spec: { serviceAccountName: 'sa', containers: [{ name: 'c' }], volumes },
  };
}

function object(name: string, data: Record<string, string>): KubernetesObject {
  return { metadata: { name, namespace: 'n' }, data } as KubernetesObject;
}

await it('renews a token at 80 % of its life and shows it in place', async (t) => {
  const dir = await temporaryFolder(t);
  const api = new MemoryApi();
  const clock = new FakeClock();
  api.now = () => clock.now();
  const volumes = new PodVolumes(dir, api, clock);
  const source = { serviceAccountToken: { path: 'token', audience: 'me', expirationSeconds: 600 } };
  const pod = podWith({ name: 'v', projected: { sources: [source] } });
  const read = (): string => readFileSync(join(dir, 'v', 'token'), 'utf8');

  assert.equal(await volumes.refresh(pod, place), 30_000, 'wall time is looked at every 30 s');
  assert.equal(read(), 'token-1-me');
  assert.equal(statSync(join(dir, 'v', 'token')).mode & 0o777, 0o600);
  await clock.advance(479_000);
  assert.equal(await volumes.refresh(pod, place), 1000);
  assert.equal(read(), 'token-1-me');
  await clock.advance(1000);
  await volumes.refresh(pod, place);
  assert.equal(read(), 'token-2-me');
  const bound = api.tokenRequests[0]?.['spec'] as { boundObjectRef?: unknown };
  assert.deepEqual(bound.boundObjectRef, { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' });
});

await it('replaces all files of a volume at once and drops those that are gone', async (t) => {
  const dir = await temporaryFolder(t);
  const api = new MemoryApi();
  await api.seed('configmaps', object('m', { a: '1', b: '1' }));
  const volumes = new PodVolumes(dir, api, new FakeClock());
  const pod = podWith({ name: 'v', configMap: { name: 'm' } });
  await volumes.refresh(pod, place);
  const first = readlinkSync(join(dir, 'v', '..data'));
  await volumes.refresh(pod, place);
  assert.equal(readlinkSync(join(dir, 'v', '..data')), first, 'what is the same is not written again');

  await api.patch('configmaps', 'n', 'm', { data: { a: '2', b: null } });
  await volumes.refresh(pod, place);
  assert.equal(readFileSync(join(dir, 'v', 'a'), 'utf8'), '2');
  assert.equal(readlinkSync(join(dir, 'v', 'a')), '..data/a');
  assert.ok(!existsSync(join(dir, 'v', 'b')));
  assert.ok(!existsSync(join(dir, 'v', first)), 'the old directory is gone');
});

await it('says what is missing, and takes no path out of the volume', async (t) => {
  const dir = await temporaryFolder(t);
  const api = new MemoryApi();
  const volumes = new PodVolumes(dir, api, new FakeClock());
  await assert.rejects(
    volumes.refresh(podWith({ name: 'v', secret: { secretName: 's' } }), place),
    new MountError('MountVolume.SetUp failed for volume "v" : secret "s" not found'),
  );
  await volumes.refresh(podWith({ name: 'v', secret: { secretName: 's', optional: true } }), place);
  await api.seed('configmaps', object('m', { a: '1' }));
  const outside = podWith({ name: 'w', configMap: { name: 'm', items: [{ key: 'a', path: '../a' }] } });
  await assert.rejects(volumes.refresh(outside, place), /must be relative/);
});

await it('projects several sources and the downward API', async (t) => {
  const dir = await temporaryFolder(t);
  const api = new MemoryApi();
  await api.seed('configmaps', object('m', { a: '1' }));
  await api.seed('secrets', object('s', { k: Buffer.from('geheim').toString('base64') }));
  const volumes = new PodVolumes(dir, api, new FakeClock());
  const sources = [
    { configMap: { name: 'm', items: [{ key: 'a', path: 'deep/a' }] } },
    { secret: { name: 's' } },
    { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
  ];
  await volumes.refresh(podWith({ name: 'v', projected: { sources } }), place);
  const read = (path: string): string => readFileSync(join(dir, 'v', path), 'utf8');
  assert.deepEqual([read('deep/a'), read('k'), read('labels')], ['1', 'geheim', 'app="x"']);
});
