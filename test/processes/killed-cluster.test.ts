import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { launcher } from '../cluster/harness.ts';
import { processesOf, processesRunning } from '../testing/processes-of.ts';
import { temporaryFolder } from '../testing/cleaner.ts';

test('a demo of which a cluster was killed leaves no process and no file', async (t) => {
  const dir = join(await temporaryFolder(t), 'demo');
  await mkdir(dir);
  const child = spawn(process.execPath, [launcher, 'demo', '--json', '--data-dir', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  let clusters: number[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
    if (clusters.length > 0 || !log.includes('first request from east answered')) return;
    clusters = processesRunning(dir, '/clusters/west/config.json');
    for (const pid of clusters) process.kill(pid, 'SIGKILL');
    child.kill('SIGTERM');
  });
  await once(child, 'close');
  assert.equal(clusters.length, 1, log);
  assert.deepEqual(await readdir(dir), [], log);
  assert.deepEqual(processesOf(dir), [], log);
});
