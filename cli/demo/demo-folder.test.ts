import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../errors.ts';
import { makeDemoFolder, outOfRoom, removeDemoFolder } from './demo-folder.ts';

const mine = mkdtempSync(join(tmpdir(), 'isthmus-test-'));
test.after(() => rmSync(mine, { recursive: true }));

const mistake = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UserError, String(error));
  assert.match(error.message, message);
  assert.match(error.hint ?? '', /--data-dir/);
  return true;
};

test('what has been made for a demo goes with it, what was there stays', async () => {
  const folder = await makeDemoFolder(join(mine, 'a', 'b'));
  assert.equal(folder.made, join(mine, 'a'));
  await removeDemoFolder(folder);
  assert.equal(existsSync(join(mine, 'a')), false);
  await removeDemoFolder(await makeDemoFolder(mine));
  assert.equal(existsSync(mine), true);
});

test('a disk without room is told before anything is begun, and nothing is left', async () => {
  const dir = join(mine, 'full');
  await assert.rejects(makeDemoFolder(dir, 2 ** 40), mistake(/MiB left where .*full is; the demo takes/));
  assert.equal(existsSync(dir), false);
});

test('a place for temporary files that is none is named', async (t) => {
  const before = process.env['TMPDIR'];
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  });
  process.env['TMPDIR'] = join(mine, 'absent');
  await assert.rejects(makeDemoFolder(undefined), mistake(/temporary files: ENOENT.*absent/));
});

test('a failure is put down to a disk that has filled up only where it has', async () => {
  const failure = new Error('database or disk is full');
  assert.equal(await outOfRoom(mine, failure), undefined);
  const told = await outOfRoom(mine, failure, 2 ** 60);
  assert.ok(mistake(/has filled up: database or disk is full/)(told));
  assert.equal(told?.cause, failure);
  assert.equal(await outOfRoom(join(mine, 'absent'), failure), undefined);
});
