import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type {
  Container,
  ContainerStatus,
  CoreEvent,
  KubernetesObject,
  Pod,
} from '../../api/kubernetes-types.ts';
import { suiteCleaner, temporaryFolder } from '../../test/testing/cleaner.ts';
import type { EmbeddedCluster } from '../index.ts';
import { isPodReady, lines, pod, runningCluster, until } from '../testing/running-cluster.ts';
import { listAs } from '../typed-client.ts';
import { MAX_LOG_BYTES } from './log-file.ts';
import { allProcesses, startTimeOf } from './process-table.ts';
import type { StoredObject } from '../types.ts';

await describe('pods to which something happens', async () => {
  const cleaner = suiteCleaner();
  let dir = '';
  let cluster: EmbeddedCluster;

  before(async () => {
    dir = await temporaryFolder(cleaner);
    cluster = await runningCluster(cleaner, join(dir, 'data'));
  });

  const create = (name: string, main: Partial<Container>, spec: Partial<Pod['spec']> = {}) =>
    cluster.loopback.create(
      'pods',
      pod(name, { containers: [{ name: 'main', image: 'sh', ...main }], ...spec }),
    );
  const shows = (name: string, wanted: (status: ContainerStatus) => boolean) =>
    until(cluster.loopback, 'pods', name, (object) => {
      const status = (object as Pod | undefined)?.status?.containerStatuses?.[0];
      return status !== undefined && wanted(status);
    });
  const gone = (name: string) => until(cluster.loopback, 'pods', name, (object) => object === undefined);
  const remove = (name: string) => cluster.loopback.delete('pods', 'default', name);
  /** Resolves with the first event of this reason about the pod. */
  const event = (name: string, reason: string): Promise<CoreEvent> =>
    new Promise((resolve) => {
      const { loopback } = cluster;
      const fits = (object: KubernetesObject): boolean => {
        const { involvedObject, reason: why } = object as CoreEvent;
        return involvedObject?.name === name && why === reason;
      };
      const found = listAs<CoreEvent>(loopback, 'events').find(fits);
      if (found !== undefined) {
        resolve(found);
        return;
      }
      const watch = loopback.watch('events', loopback.list('events'), (seen) => {
        if (seen.type === 'BOOKMARK' || !fits(seen.object)) return;
        watch.close();
        resolve(seen.object as StoredObject & CoreEvent);
      });
    });
  const logOf = (name: string): string => {
    const uid = cluster.loopback.get('pods', 'default', name)?.metadata.uid ?? '';
    return readFileSync(join(dir, 'data', 'pods', uid, 'logs', 'main', '0.log'), 'utf8');
  };

  await it('starts a container as soon as what its environment needs is there', async () => {
    const { loopback } = cluster;
    const env = [{ name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'late', key: 'colour' } } }];
    await create('env', { args: ['echo $COLOUR; exec sleep 300'], env });
    await shows('env', (s) => s.state?.waiting?.reason === 'CreateContainerConfigError');
    await loopback.create('configmaps', map('late', { other: 'x' }));
    await shows('env', (s) => /couldn't find key colour/.test(s.state?.waiting?.message ?? ''));
    await loopback.patch('configmaps', 'default', 'late', { data: { colour: 'blue' } });
    await until(loopback, 'pods', 'env', isPodReady);
    await remove('env');
    await gone('env');
  });

  await it('starts a container as soon as its volume can be made', async () => {
    const { loopback } = cluster;
    await create(
      'volume',
      { args: ['exec sleep 300'], volumeMounts: [{ name: 'v', mountPath: '/v' }] },
      { volumes: [{ name: 'v', secret: { secretName: 'late' } }] },
    );
    assert.match((await event('volume', 'FailedMount')).message ?? '', /secret "late" not found/);
    await loopback.create('secrets', { ...map('late', {}), kind: 'Secret' });
    await until(loopback, 'pods', 'volume', isPodReady);
    await remove('volume');
    await gone('volume');
  });

  await it('ends a pod that is deleted while it starts, at whatever moment, and leaves nothing', async () => {
    const { loopback } = cluster;
    const file = join(dir, 'early');
    const args = [
      `trap 'echo down >> ${file}; exit 0' TERM; echo up >> ${file}; while :; do sleep 0.05; done`,
    ];
    for (let changes = 0; changes < 6; changes += 1) {
      const name = `early-${changes}`;
      let left = changes;
      const { resourceVersion } = loopback.list('pods');
      const reached = new Promise<void>((resolve) => {
        const watch = loopback.watch('pods', { resourceVersion }, (seen) => {
          if (seen.type === 'BOOKMARK' || seen.object.metadata.name !== name) return;
          if (left === 0 || isPodReady(seen.object)) {
            watch.close();
            resolve();
          }
          left -= 1;
        });
      });
      await create(name, { args });
      await reached;
      const { uid = '' } = loopback.get('pods', 'default', name)?.metadata ?? {};
      await remove(name);
      await gone(name);
      assert.equal(existsSync(join(dir, 'data', 'pods', uid)), false, 'its directory');
    }
    assert.deepEqual(processesWith(file), [], 'no process runs that the deleted pods had started');
  });

  await it('runs a preStop hook by HTTP before SIGTERM', async () => {
    const file = join(dir, 'hook');
    const script = `
      const say = (text) => require('fs').appendFileSync(${JSON.stringify(file)}, text + '\\n');
      process.on('SIGTERM', () => { say('term'); process.exit(0); });
      require('http').createServer((request, response) => { say(request.url + ' ' + request.headers.from); response.end(); })
        .listen(8080, process.env.POD_IP);`;
    await create('hook', {
      image: 'node',
      args: [script],
      env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
      ports: [{ name: 'web', containerPort: 8080 }],
      readinessProbe: { tcpSocket: { port: 'web' }, periodSeconds: 1 },
      lifecycle: {
        preStop: { httpGet: { path: '/drain', port: 'web', httpHeaders: [{ name: 'From', value: 'test' }] } },
      },
    });
    await until(cluster.loopback, 'pods', 'hook', isPodReady);
    await remove('hook');
    await gone('hook');
    assert.deepEqual(lines(readFileSync(file, 'utf8')), ['/drain test', 'term']);
  });

  await it('tells of a container that finds its port in use', async () => {
    await create('first', { args: ['exec sleep 300'] });
    const found = (await until(cluster.loopback, 'pods', 'first', isPodReady)) as Pod;
    const server = createServer().listen(8080, found.status?.podIP);
    await once(server, 'listening');
    const script = `require('net').createServer().listen(8080, ${JSON.stringify(found.status?.podIP)})`;
    await create('second', {
      image: 'node',
      args: [script],
      terminationMessagePolicy: 'FallbackToLogsOnError',
    });
    await shows('second', (s) => /EADDRINUSE/.test(s.lastState?.terminated?.message ?? ''));
    server.close();
    await Promise.all([remove('first'), remove('second')]);
    await Promise.all([gone('first'), gone('second')]);
  });

  await it('survives a pod that writes 100 MB of log at once', async () => {
    await create(
      'flood',
      {
        args: ['head -c 100000000 /dev/zero | tr "\\0" x | fold -w 200; echo the end'],
      },
      { restartPolicy: 'Never' },
    );
    await until(
      cluster.loopback,
      'pods',
      'flood',
      (object) => (object as Pod | undefined)?.status?.phase === 'Succeeded',
    );
    const log = logOf('flood');
    assert.ok(log.length <= MAX_LOG_BYTES);
    assert.ok(log.endsWith('the end\n'));
    await remove('flood');
    await gone('flood');
  });
});

function map(name: string, data: Record<string, string>): KubernetesObject {
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
  return object;
}

/** Processes whose command line has the text. */
function processesWith(text: string): number[] {
  return allProcesses().filter((pid) => {
    if (pid === process.pid || startTimeOf(pid) === undefined) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}
