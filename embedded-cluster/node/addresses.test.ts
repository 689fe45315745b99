import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { silentLog } from '../../log/index.ts';
import type { CoreEvent, Pod } from '../../api/kubernetes-types.ts';
import { temporaryFolder } from '../../test/testing/cleaner.ts';
import { createEventRecorder } from '../events.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { MemoryApi } from '../testing/memory-api.ts';
import { isPodReady, pod, scriptImages, until } from '../testing/running-cluster.ts';
import { listAs } from '../typed-client.ts';
import type { StoredObject } from '../types.ts';
import { AddressPool } from './addresses.ts';
import { startNodeAgent } from './agent.ts';
import { GracePeriod } from './grace-period.ts';
import { ProcessRecords } from './process-records.ts';

await it('gives 253 addresses, says that there are no more, and gives one again when it comes back', async () => {
  const pool = new AddressPool('127.64.9');
  for (let i = 0; i < 253; i += 1) assert.notEqual(await pool.take(`pod-${i}`), undefined);
  assert.equal(await pool.take('late'), undefined);
  assert.match(pool.exhausted, /253 of the 253 of 127\.64\.9\.0\/24 are taken by pods/);
  let woken = 0;
  pool.onRelease('late', () => {
    woken += 1;
  });
  pool.release('pod-7');
  pool.release('pod-8');
  assert.equal(woken, 1);
  assert.equal(await pool.take('late'), '127.64.9.9');
});

await it('tells a pod that there is no address, and starts it when another pod goes', async (t) => {
  const dir = await temporaryFolder(t);
  const api = new MemoryApi();
  const clock = new FakeClock();
  const addresses = new AddressPool('127.64.9');
  for (let i = 1; i < 253; i += 1) assert.ok(addresses.adopt(`127.64.9.${i + 2}`, `taken-${i}`));
  const agent = startNodeAgent({
    client: api,
    clock,
    events: createEventRecorder({ client: api, clock, component: 'kubelet' }),
    logger: silentLog,
    nodeName: 'node',
    hostIp: '127.64.9.1',
    cpus: 1,
    memoryBytes: 1,
    images: scriptImages,
    addresses,
    records: new ProcessRecords(join(dir, 'processes')),
    environment: { PATH: process.env['PATH'] ?? '' },
    dataDir: dir,
    gracePeriod: (ms) => new GracePeriod(clock, ms),
  });
  t.after(async () => {
    agent.beginStop(0);
    await clock.advance(5000);
    await agent.stop();
  });
  const start = (name: string): Promise<unknown> =>
    api.create(
      'pods',
      pod(name, { nodeName: 'node', containers: [{ name: 'main', image: 'sh', args: ['exec sleep 300'] }] }),
    );
  await start('last');
  await until(api, 'pods', 'last', isPodReady);
  await start('late');
  const told = new Promise<CoreEvent>((resolve) => {
    const watch = api.watch('events', { resourceVersion: '' }, (event) => {
      if (event.type === 'BOOKMARK' || event.object['reason'] !== 'FailedCreatePodSandBox') return;
      watch.close();
      resolve(event.object as StoredObject & CoreEvent);
    });
  });
  assert.match((await told).message ?? '', /^no pod address is free: 253 of the 253/);
  await api.delete('pods', 'default', 'last');
  await until(api, 'pods', 'late', isPodReady);
  assert.equal(listAs<Pod>(api, 'pods')[0]?.status?.podIP, '127.64.9.2');
});
