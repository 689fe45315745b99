import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { temporaryFolder } from '../test/testing/cleaner.ts';
import { startTimeOf } from './node/process-table.ts';
import { call, CLUSTER_MAIN, eventually, fileShows, startClusterProcess } from './testing/cluster-process.ts';
import { lines, scriptImages } from './testing/running-cluster.ts';

/** The pids that stand in a file which a pod writes, one for each run, as soon as there are so many. */
async function runs(path: string, count: number): Promise<number[]> {
  const pids = (): number[] => (existsSync(path) ? lines(readFileSync(path, 'utf8')).map(Number) : []);
  await fileShows(path, () => pids().length >= count);
  return pids();
}

await it('comes up again after kill -9 with what it had acknowledged, replaces its pods, and ends cleanly', async (t) => {
  const dir = await temporaryFolder(t);
  const config = join(dir, 'config.json');
  const pids = join(dir, 'pids');
  writeFileSync(
    config,
    JSON.stringify({ name: 'again', dataDir: join(dir, 'data'), images: scriptImages, exitWithStdin: true }),
  );

  const first = await startClusterProcess(config);
  t.after(() => first.child.kill('SIGKILL'));
  assert.equal(statSync(first.kubeconfig).mode & 0o777, 0o600, 'it holds a private key');
  const namespace = '/api/v1/namespaces/default';
  await eventually(first, `${namespace}/serviceaccounts`, 'default', (account) => account !== undefined);
  const created = await call(first, 'POST', `${namespace}/pods`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    // Two dollar signs stand for one in arguments.
    spec: { containers: [{ name: 'main', image: 'sh', args: [`echo $$$$ >> ${pids}; exec sleep 300`] }] },
  });
  assert.equal(created.status, 201);
  const [before = 0] = await runs(pids, 1);
  const acknowledged = await call(first, 'POST', `${namespace}/configmaps`, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'acknowledged' },
  });
  assert.equal(acknowledged.status, 201);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  assert.notEqual(startTimeOf(before), undefined, 'the pod outlives the cluster that was killed');

  const second = await startClusterProcess(config);
  t.after(() => second.child.kill('SIGKILL'));
  assert.equal(second.url, first.url, 'the same network again');
  assert.equal(startTimeOf(before), undefined, 'what was left of the first run is gone when the API answers');
  const kept = await call(second, 'GET', `${namespace}/configmaps/acknowledged`);
  assert.equal(kept.status, 200);
  const [, after = 0] = await runs(pids, 2);
  assert.notEqual(startTimeOf(after), undefined);

  // A second process on the same directory must not touch it.
  const intruder = spawn(process.execPath, [CLUSTER_MAIN, '--config', config], {
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  const [refused] = (await once(intruder, 'exit')) as [number];
  assert.equal(refused, 2);

  second.child.stdin?.end();
  const [code] = (await once(second.child, 'exit')) as [number];
  assert.equal(code, 0, 'ends with its standard input');
  assert.equal(startTimeOf(after), undefined, 'no process is left');
});

await it('refuses a configuration that is wrong, naming what', async (t) => {
  const dir = await temporaryFolder(t);
  const config = join(dir, 'config.json');
  writeFileSync(config, JSON.stringify({ name: 'x', dataDir: dir, images: { web: { command: [] } } }));
  const child = spawn(process.execPath, [CLUSTER_MAIN, '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(Buffer.concat(chunks).toString(), /images\[\\"web\\"\]\.command .* must be a list of words/);
});
