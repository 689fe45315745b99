/** `isthmus cluster` as a person uses it: every call is a process of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as yaml from 'js-yaml';
import { openCluster } from '../../cli/cluster-access.ts';
import { readProcess } from '../../cli/clusters/process-table.ts';
import { resources } from '../../kubernetes/resources.ts';
import { type Cleaner, temporaryFolder } from '../testing/cleaner.ts';
import { type CommandResult, eventually, isthmus, launcher } from './harness.ts';

suite('isthmus cluster', { concurrency: true }, () => {
  async function setting(cleaner: Cleaner) {
    const dir = await temporaryFolder(cleaner);
    const env = { KUBECONFIG: join(dir, 'kubeconfig'), HOME: dir };
    const data = join(dir, 'clusters');
    const cluster = (...args: string[]): Promise<CommandResult> =>
      isthmus(['cluster', ...args, '--data-dir', data], env);
    return { dir, data, env, cluster };
  }

  test('create, list, kubeconfig, delete; a cluster that was killed starts again with its data', async (t) => {
    const { data, env, cluster } = await setting(t);
    // Whatever the test meets, the cluster is not left behind.
    t.after(async () => void (await cluster('delete', 'one')));
    const created = await cluster('create', 'one');
    assert.equal(created.code, 0, created.stderr);
    const twice = await cluster('create', 'one');
    assert.equal(twice.code, 1);
    assert.match(twice.stderr, /"one" is already running/);
    assert.ok(!(await readFile(join(data, 'one', 'cluster.log'), 'utf8')).includes('client-key-data'));

    const kept = yaml.dump({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' } });
    const applied = await isthmus(['inject', '-'], env, kept);
    assert.equal(applied.code, 0, applied.stderr);
    const [running] = JSON.parse((await cluster('list', '-o', 'json')).stdout) as { pid: number }[];
    process.kill(running?.pid ?? 0, 'SIGKILL');
    await eventually('the process to be gone', () =>
      Promise.resolve(readProcess(running?.pid ?? 0) === undefined),
    );
    assert.match((await cluster('list')).stdout, /one +Stopped/);
    const again = await cluster('create', 'one');
    assert.equal(again.code, 0, again.stderr);
    const access = await openCluster({ kubeconfig: env.KUBECONFIG });
    t.after(() => access.client.close());
    await access.client.get(resources.configMaps, 'default', 'kept');
    const shown = await cluster('kubeconfig', 'one');
    assert.match(shown.stdout, /current-context: one/);
    const second = await cluster('create', 'two');
    t.after(async () => void (await cluster('delete', 'two')));
    assert.equal(second.code, 0, second.stderr);
    const mistyped = await cluster('delete', 'one', 'tow', 'two');
    assert.equal(mistyped.code, 1);
    assert.match(mistyped.stderr, /there is no cluster "tow"/);
    assert.match((await cluster('list')).stdout, /one +Running[^]*two +Running/);
    const deleted = await cluster('delete', 'one', 'two', 'one');
    assert.equal(deleted.code, 0, deleted.stderr);
    assert.deepEqual(await readdir(data), []);
    assert.doesNotMatch(await readFile(env.KUBECONFIG, 'utf8'), /one|two/);
  });

  test('names that are none, clusters that are not there and folders of others are refused', async (t) => {
    const { data, cluster } = await setting(t);
    await mkdir(join(data, 'mine'), { recursive: true });
    const results = await Promise.all([
      cluster('delete', '../clusters'),
      cluster('delete', 'mine'),
      cluster('kubeconfig', 'none'),
      isthmus(['cluster', 'create', 'x', '--data-dir', '/proc/nowhere']),
    ]);
    for (const { code, stderr } of results) assert.equal(code, 1, stderr);
    const [path, mine, none, nowhere] = results.map((result) => result.stderr);
    assert.match(path ?? '', /is no cluster name/);
    assert.match(mine ?? '', /there is no cluster "mine"/);
    assert.match(none ?? '', /there is no cluster "none"/);
    assert.match(nowhere ?? '', /\/proc\/nowhere/);
    assert.deepEqual(await readdir(data), ['mine']);
  });

  /** For Node: the process of a cluster stands before its first line, so that its start is under way whenever it is interrupted. */
  const waits =
    "if (process.argv[1]?.includes('embedded-cluster')) await new Promise(() => setInterval(() => {}, 1000))";
  const neverReady = `--import=data:text/javascript,${encodeURIComponent(waits)}`;

  test('a start that is interrupted leaves no process', async (t) => {
    const { dir, data, cluster } = await setting(t);
    const child = spawn(process.execPath, [launcher, 'cluster', 'create', 'one', '--data-dir', data], {
      stdio: 'ignore',
      env: { ...process.env, KUBECONFIG: join(dir, 'kubeconfig'), NODE_OPTIONS: neverReady },
    });
    const record = join(data, 'one', 'process.json');
    const { pid } = await eventually(
      'the process to be on record',
      async () => JSON.parse(await readFile(record, 'utf8')) as { pid: number },
    );
    child.kill('SIGINT');
    assert.deepEqual(await once(child, 'exit'), [128 + constants.signals.SIGINT, null]);
    assert.equal(readProcess(pid), undefined);
    assert.equal((await cluster('delete', 'one')).code, 0);
    assert.deepEqual(await readdir(data), []);
  });
});
