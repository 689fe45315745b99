import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '../../test/testing/cleaner.ts';
import { ProcessRecords } from './process-records.ts';
import { markEnvironment, startTimeOf } from './process-table.ts';

/** A process as a container's is started. Answers the pids that its script prints. */
async function run(
  t: TestContext,
  script: string,
  env: Record<string, string>,
): Promise<{ child: ChildProcess; pids: number[]; ended: Promise<unknown> }> {
  const child = spawn('/bin/sh', ['-c', script], {
    detached: true,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const pids = line.toString().trim().split(' ').map(Number);
  t.after(() => {
    for (const pid of pids) if (startTimeOf(pid) !== undefined) process.kill(pid, 'SIGKILL');
  });
  return { child, pids, ended };
}

async function records(t: TestContext): Promise<{ dir: string; records: ProcessRecords }> {
  const dir = await temporaryFolder(t);
  return { dir, records: new ProcessRecords(dir) };
}

const alive = (pids: readonly number[]): boolean[] => pids.map((pid) => startTimeOf(pid) !== undefined);

await it('finds what lives on when the first process has gone, in its group or in a session of its own', async (t) => {
  const { dir, records: own } = await records(t);
  const script = 'sleep 300 >/dev/null & a=$!; setsid sleep 300 >/dev/null & echo $a $!';
  const { pids, ended } = await run(t, script, markEnvironment(own.markOf('c1')));
  await ended;
  assert.deepEqual(alive(pids), [true, true]);
  // Never recorded: the agent was killed between the start and the record.
  assert.equal(await new ProcessRecords(dir).killLeftovers(), 2);
  assert.deepEqual(alive(pids), [false, false]);
});

await it('finds a recorded process, and all of its session, that have no mark', async (t) => {
  const { dir, records: own } = await records(t);
  const { child, pids } = await run(
    t,
    'exec 2>/dev/null; set -m; sleep 300 >/dev/null & echo $! $$; wait',
    {},
  );
  own.add(child.pid ?? 0);
  assert.equal(await new ProcessRecords(dir).killLeftovers(), 2);
  assert.deepEqual(alive(pids), [false, false]);
  assert.deepEqual(readdirSync(dir), ['mark'], 'the record is gone, too');
});

await it('leaves strangers alone: other marks, and a pid that is another process by now', async (t) => {
  const { dir, records: own } = await records(t);
  const { records: other } = await records(t);
  const marked = await run(t, 'echo $$; exec sleep 300', markEnvironment(other.markOf('c1')));
  const reused = await run(t, 'echo $$; exec sleep 300', {});
  const [pid = 0] = reused.pids;
  own.add(pid);
  const file = join(dir, String(pid));
  const [startTime = '', boot = ''] = readFileSync(file, 'utf8').split(' ');
  for (const record of [`${Number(startTime) - 1} ${boot}`, `${startTime} another-boot`, '']) {
    writeFileSync(file, record);
    assert.equal(await own.killLeftovers(), 0, record);
  }
  assert.deepEqual(alive([...marked.pids, ...reused.pids]), [true, true]);
});
