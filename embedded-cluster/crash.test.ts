import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { it } from 'node:test';
import type { TestContext } from 'node:test';
import { silentLog } from '../log/index.ts';
import type { Container, Pod } from '../api/kubernetes-types.ts';
import { temporaryFolder } from '../test/testing/cleaner.ts';
import { createApiServer } from './apiserver/index.ts';
import { claimNetwork } from './node/network.ts';
import { startTimeOf } from './node/process-table.ts';
import { call, eventually, fileShows, startClusterProcess } from './testing/cluster-process.ts';
import type { ClusterProcess } from './testing/cluster-process.ts';
import { isPodReady, lines, scriptImages } from './testing/running-cluster.ts';

const NAMESPACE = '/api/v1/namespaces/default';
const PODS = `${NAMESPACE}/pods`;

/** A container that says in the file of all runs that it runs, and stays. */
function lasting(name: string, file: string, extra: Partial<Container> = {}): Container {
  return { name, image: 'sh', args: [`echo ${name} >> ${file}; exec sleep 300`], ...extra };
}

/** Pids of first processes of containers: those that the test's own variable marks and that lead a session. */
function leaders(key: string): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && startTimeOf(Number(pid)) !== undefined)
    .flatMap((pid) => {
      let environment: string[];
      try {
        environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      } catch {
        return [];
      }
      return environment.flatMap((entry) =>
        entry.startsWith(`${key}=`) ? [entry.slice(key.length + 1)] : [],
      );
    })
    .sort();
}

async function post(cluster: ClusterProcess, path: string, object: object): Promise<void> {
  const { status } = await call(cluster, 'POST', path, object);
  assert.equal(status, 201, path);
}

async function configured(t: TestContext): Promise<{ dir: string; config: string }> {
  const dir = await temporaryFolder(t);
  const config = join(dir, 'config.json');
  writeFileSync(config, JSON.stringify({ name: 'crash', dataDir: join(dir, 'data'), images: scriptImages }));
  return { dir, config };
}

await it('puts right what an earlier run has left before anybody can connect', async (t) => {
  const dir = await temporaryFolder(t);
  const network = await claimNetwork();
  t.after(() => network.release());
  const refused = async (): Promise<string> => {
    const socket = connect(6443, network.firstAddress);
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    return error.code ?? '';
  };
  let seen = '';
  const server = await createApiServer({
    dataDir: dir,
    address: network.firstAddress,
    port: 6443,
    clusterName: 'order',
    logger: silentLog,
    async beforeServing() {
      seen = await refused();
    },
  });
  await server.close();
  assert.equal(seen, 'ECONNREFUSED');
});

await it('has one process a container after it was killed at any stage of a pod, and none of a pod that is gone', async (t) => {
  const { dir, config } = await configured(t);
  const file = join(dir, 'runs');
  const key = `TEST_${process.pid}_CONTAINER`;
  const env = (value: string): Pick<Container, 'env'> => ({ env: [{ name: key, value }] });
  const runs = (): string[] => (existsSync(file) ? lines(readFileSync(file, 'utf8')) : []);
  const crash = async (cluster: ClusterProcess): Promise<void> => {
    cluster.child.kill('SIGKILL');
    await once(cluster.child, 'exit');
  };
  const start = async (): Promise<ClusterProcess> => {
    const cluster = await startClusterProcess(config);
    t.after(() => cluster.child.kill('SIGKILL'));
    return cluster;
  };

  let cluster = await start();
  await eventually(cluster, `${NAMESPACE}/serviceaccounts`, 'default', (account) => account !== undefined);
  await post(cluster, PODS, {
    metadata: { name: 'p' },
    spec: {
      terminationGracePeriodSeconds: 60,
      initContainers: [
        // Waits where it is killed, the first time; leaves a process in a session of its own behind, each time.
        {
          name: 'init',
          image: 'sh',
          args: [
            `${key}=escaped setsid sleep 300 & echo init >> ${file}; test $(grep -c init ${file}) -gt 1 || sleep 300`,
          ],
          ...env('init'),
        },
        lasting('side', file, { restartPolicy: 'Always', ...env('side') }),
      ],
      containers: [
        {
          name: 'main',
          image: 'sh',
          args: [`trap 'echo term >> ${file}' TERM; echo main >> ${file}; while :; do sleep 0.1; done`],
          ...env('main'),
        },
      ],
    },
  });
  // Acknowledged, and maybe not even bound.
  await crash(cluster);

  cluster = await start();
  await fileShows(file, () => runs().includes('init'));
  await crash(cluster);

  cluster = await start();
  await fileShows(file, () => runs().includes('main'));
  await eventually<Pod>(cluster, PODS, 'p', (pod) => isPodReady(pod));
  await crash(cluster);

  const before = runs().filter((run) => run === 'main').length;
  cluster = await start();
  await fileShows(file, () => runs().filter((run) => run === 'main').length > before);
  await eventually<Pod>(
    cluster,
    PODS,
    'p',
    (pod) => (pod?.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
  );
  // The shells that wait in `main` start a `sleep` with its variable again and again.
  const found = leaders(key).filter((name, i, all) => all[i - 1] !== name);
  assert.deepEqual(found, ['main', 'side'], 'what init has left behind has ended with it');
  assert.equal(leaders(key).filter((name) => name === 'side').length, 1);
  assert.ok(leaders(key).filter((name) => name === 'main').length <= 2);

  const deleting = await call(cluster, 'DELETE', `${NAMESPACE}/pods/p`);
  assert.equal(deleting.status, 200);
  await fileShows(file, () => runs().includes('term'));
  await crash(cluster);

  cluster = await start();
  const hurried = await call(cluster, 'DELETE', `${NAMESPACE}/pods/p`, { gracePeriodSeconds: 1 });
  assert.ok(hurried.status === 200 || hurried.status === 404);
  await eventually(cluster, PODS, 'p', (pod) => pod === undefined);
  assert.deepEqual(leaders(key), []);
  assert.deepEqual(readdirSync(join(dir, 'data', 'processes')), ['mark']);
  cluster.child.kill('SIGTERM');
  const [code] = (await once(cluster.child, 'exit')) as [number];
  assert.equal(code, 0);
});

await it('goes on, and so do its pods, when the disk has no room for what they say', async (t) => {
  const { dir, config } = await configured(t);
  // No file may pass 12000 blocks of 512 or 1024 bytes: for who writes it, that is a disk without room.
  const cluster = await startClusterProcess(config, [
    '/bin/sh',
    '-c',
    'trap "" XFSZ; ulimit -f 12000; exec "$@"',
    'sh',
  ]);
  t.after(() => cluster.child.kill('SIGKILL'));
  await eventually(cluster, `${NAMESPACE}/serviceaccounts`, 'default', (account) => account !== undefined);
  await post(cluster, PODS, {
    metadata: { name: 'loud' },
    spec: {
      restartPolicy: 'Never',
      containers: [
        {
          name: 'main',
          image: 'sh',
          args: ['head -c 20000000 /dev/zero | tr "\\0" x | fold -w 200; exit 7'],
        },
      ],
    },
  });
  const ended = await eventually<Pod>(cluster, PODS, 'loud', (pod) => pod?.status?.phase === 'Failed');
  assert.equal(
    ended?.status?.containerStatuses?.[0]?.state?.terminated?.exitCode,
    7,
    'it came to its own end',
  );
  const log = readFileSync(
    join(dir, 'data', 'pods', ended.metadata?.uid ?? '', 'logs', 'main', '0.log'),
    'utf8',
  );
  assert.ok(log.endsWith('x\n') && log.length <= 12_000 * 1024);
  await post(cluster, `${NAMESPACE}/configmaps`, { metadata: { name: 'after' } });
  cluster.child.kill('SIGTERM');
  const [code] = (await once(cluster.child, 'exit')) as [number];
  assert.equal(code, 0);
});
