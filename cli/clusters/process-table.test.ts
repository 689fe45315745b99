import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { processTree, pssKiB, readProcess } from './process-table.ts';

test('the tree of a process holds its child until that has ended', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  assert.ok(processTree(process.pid).some((p) => p.pid === pid));
  assert.equal(readProcess(pid)?.parent, process.pid);
  child.stdin.end();
  await once(child, 'exit');
  assert.equal(readProcess(pid), undefined);
});

test('the own proportional set size can be read', () => {
  assert.ok(pssKiB(process.pid) > 1000);
  assert.equal(pssKiB(2 ** 30), 0);
});
