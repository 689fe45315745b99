import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type LogTarget, openLog } from './log-target.ts';

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-log-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

function write(target: LogTarget, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    target.write(Buffer.from(text), 0, text.length, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Descriptors of this process that lead into the folder. */
function openIn(dir: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir);
    } catch {
      // The one that the list was read by.
      return false;
    }
  }).length;
}

test('opened anew, a file that was renamed keeps what it has, and the path has what follows', async (t) => {
  const dir = folder(t);
  const [path, old] = [join(dir, 'log'), join(dir, 'log.1')];
  const target = openLog(path);
  await write(target, 'one\n');
  renameSync(path, old);
  await write(target, 'two\n');
  const under = write(target, 'three\n');
  target.reopen();
  target.reopen();
  await under;
  await write(target, 'four\n');
  assert.deepEqual([read(old), read(path)], ['one\ntwo\nthree\n', 'four\n']);
  assert.equal(openIn(dir), 1);
  target.close();
  assert.equal(openIn(dir), 0);
});

test('where it cannot be opened anew it goes on in the old file', async (t) => {
  const dir = folder(t);
  const inner = join(dir, 'inner');
  mkdirSync(inner);
  const target = openLog(join(inner, 'log'));
  renameSync(inner, join(dir, 'moved'));
  assert.throws(() => target.reopen(), /the log .*inner\/log cannot be opened: ENOENT/);
  await write(target, 'on\n');
  assert.equal(read(join(dir, 'moved', 'log')), 'on\n');
  target.close();
});

test('a named pipe: without a reader it cannot be opened, and no write waits for one', async (t) => {
  const path = join(folder(t), 'pipe');
  execFileSync('mkfifo', [path]);
  assert.throws(() => openLog(path), /the log .*pipe cannot be opened: ENXIO/);
  const openReader = (): number => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let reader = openReader();
  const target = openLog(path);
  t.after(() => target.close());
  await write(target, 'one\n');
  closeSync(reader);
  await assert.rejects(write(target, 'two\n'), { code: 'EPIPE' });
  reader = openReader();
  await write(target, 'three\n');
  assert.equal(readSync(reader, Buffer.alloc(64)), 'one\nthree\n'.length);
  await assert.rejects(
    async () => {
      for (;;) await write(target, 'x'.repeat(4_096));
    },
    { code: 'EAGAIN' },
  );
  closeSync(reader);
});

function read(path: string): string {
  return readFileSync(path, 'utf8');
}
