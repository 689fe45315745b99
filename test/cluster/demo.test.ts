/** `npm start` as a person runs it: two clusters, real traffic, and nothing left behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DemoResult } from '../../cli/demo/traffic.ts';
import { processesOf } from '../testing/processes-of.ts';
import { type Cleaner, temporaryFolder } from '../testing/cleaner.ts';
import { isthmus, launcher } from './harness.ts';

async function dataDir(cleaner: Cleaner): Promise<string> {
  const dir = join(await temporaryFolder(cleaner), 'demo');
  await mkdir(dir);
  return dir;
}

test('two demos at once: every request from east is answered by west, identities are those of the workloads', async (t) => {
  const dirs = [await dataDir(t), await dataDir(t)];
  const runs = await Promise.all(
    dirs.map((dir) => isthmus(['demo', '--for', '3s', '--json', '--data-dir', dir])),
  );
  for (const [i, { code, stdout, stderr }] of runs.entries()) {
    assert.equal(code, 0, stderr);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, 1, 'only the line of JSON goes to standard output');
    const result = JSON.parse(lines[0] ?? '') as DemoResult;
    assert.ok(result.requests > 0);
    assert.equal(result.failures, 0);
    assert.deepEqual(result.byCluster, { west: result.requests });
    assert.equal(result.clientIdentity, 'spiffe://cluster.local/cluster/east/ns/demo/sa/client');
    assert.equal(result.serverIdentity, 'spiffe://cluster.local/cluster/west/ns/demo/sa/web');
    assert.ok(result.secondsToFirstRequest > 0 && result.pssMiB > 0);
    assert.ok(result.latencyMs.p50 > 0 && result.latencyMs.p99 >= result.latencyMs.p50);
    const dir = dirs[i] ?? '';
    assert.deepEqual(await readdir(dir), []);
    assert.deepEqual(processesOf(dir), []);
  }
});

for (const afterMs of [300, 2500, 7000]) {
  test(`interrupted after ${afterMs} ms it leaves no process and no file`, async (t) => {
    const dir = await dataDir(t);
    const child = spawn(process.execPath, [launcher, 'demo', '--json', '--data-dir', dir], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    // The moment is the point of this test: whatever is being done then must be undone.
    await delay(afterMs);
    child.kill('SIGTERM');
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    // Before the command has read its arguments nothing has been made, and the signal itself ends it. Once the demo answers, ending it is no failure.
    const answered = log.includes('√ links work both ways');
    const ended =
      code === (answered ? 0 : 128 + constants.signals.SIGTERM) || (signal === 'SIGTERM' && log === '');
    assert.ok(ended, `exit code ${code}, signal ${signal}: ${log}`);
    assert.deepEqual(await readdir(dir), [], log);
    assert.deepEqual(processesOf(dir), [], log);
  });
}

test('interrupted within the time that was asked for it tells what it has measured, and that it was cut short', async (t) => {
  const dir = await dataDir(t);
  const child = spawn(process.execPath, [launcher, 'demo', '--json', '--for', '1h', '--data-dir', dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [line, log] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (line += text));
  child.stderr.setEncoding('utf8');
  for await (const text of child.stderr.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    log += text;
    if (log.includes('links work both ways')) break;
  }
  child.stderr.resume();
  child.kill('SIGINT');
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 128 + constants.signals.SIGINT, log);
  assert.ok((JSON.parse(line) as DemoResult).requests > 0);
  assert.deepEqual(await readdir(dir), []);
});

test('when nobody reads what it says any more it ends, and leaves no process and no file', async (t) => {
  const dir = await dataDir(t);
  const child = spawn(process.execPath, [launcher, 'demo', '--data-dir', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // As `2>&1 | head -1` does.
  await once(child.stderr, 'data');
  child.stderr.destroy();
  const [code] = (await once(child, 'exit')) as [number | null];
  assert.equal(code, 0);
  assert.deepEqual(await readdir(dir), []);
  assert.deepEqual(processesOf(dir), []);
});

test("a data directory that cannot be made is the user's mistake", async () => {
  const { code, stderr } = await isthmus(['demo', '--json', '--data-dir', '/proc/nowhere']);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /\/proc\/nowhere/);
});

test('the example manifests name the version that is built', async () => {
  const { EXAMPLE_IMAGE } = await import('../../api/names.ts');
  for (const file of ['web.yaml', 'client.yaml']) {
    const text = await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8');
    assert.ok(text.includes(`image: ${EXAMPLE_IMAGE}\n`), file);
  }
});
