import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockDataDir } from '../../embedded-cluster/data-lock.ts';
import { UserError } from '../errors.ts';
import { startFailure } from './launch.ts';

const WHAT = 'cluster "east" ended at its start (exit code 2)';

test('a start that the machine refused is told in a line, with the folder', () => {
  const error = 'Error: ENOSPC: no space left on device, write\\n    at Object.writeSync (node:fs:1233:3)';
  const failure = startFailure(
    WHAT,
    '/data/east/log',
    `{"level":60,"error":"${error}","msg":"it can not start"}`,
  );
  assert.ok(failure instanceof UserError);
  assert.equal(failure.message, `${WHAT}: ENOSPC: no space left on device, write`);
  assert.match(failure.hint ?? '', /\/data\/east\./);
});

test('of two commands that start one cluster at once the second says that it is there', () => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-test-'));
  const unlock = lockDataDir(dir);
  try {
    let error = '';
    try {
      lockDataDir(dir);
    } catch (thrown) {
      error = String(thrown);
    }
    const failure = startFailure(WHAT, '/data/east/log', JSON.stringify({ level: 60, error }));
    assert.ok(failure instanceof UserError);
    assert.equal(
      failure.message,
      `${WHAT}: data directory ${dir} is in use by the cluster with process id ${process.pid}`,
    );
  } finally {
    unlock();
    rmSync(dir, { recursive: true });
  }
});

test('a start that failed by a fault of ours is told with the log', () => {
  const failure = startFailure(WHAT, '/data/east/log', '{"error":"TypeError: x is not a function"}');
  assert.ok(!(failure instanceof UserError));
  assert.match(failure.message, /; log:\n.*TypeError/);
});
