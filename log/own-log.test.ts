import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { toDescriptorAtOnce, type WriteBytes } from './log-output.ts';
import { createOwnLog } from './own-log.ts';

type Done = Parameters<WriteBytes>[3];

/** An output that takes nothing until the test says so. */
function harness() {
  const writes: { text: string; done: Done }[] = [];
  const own = createOwnLog({ name: 'test' }, 'info', (chunk, start, length, done) =>
    writes.push({ text: chunk.toString('utf8', start, start + length), done }),
  );
  const read = (): Record<string, unknown>[] => {
    let text = '';
    for (let one = writes.shift(); one !== undefined; one = writes.shift()) {
      text += one.text;
      one.done(null, Buffer.byteLength(one.text));
    }
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { own, log: own.log, writes, read };
}

test('a line is written at once, those that come meanwhile behind it, in order', async () => {
  const { own, log, writes, read } = harness();
  log.info({ peer: 'größe' }, 'one');
  assert.equal(writes.length, 1);
  log.warn({}, 'two');
  log.debug({}, 'not wanted');
  const lines = read();
  assert.deepEqual(
    lines.map(({ msg, level, name, peer }) => [msg, level, name, peer]),
    [
      ['one', 30, 'test', 'größe'],
      ['two', 40, 'test', undefined],
    ],
  );
  await own.close();
});

test('where nobody reads, a bounded amount waits; how much was lost is told once there is room', async () => {
  const { own, log, read } = harness();
  const detail = 'x'.repeat(1_000);
  for (let i = 0; i < 3_000; i++) log.info({ detail }, 'a line');
  const kept = read().length;
  assert.ok(kept > 500 && kept < 1_200, `${kept} lines were kept`);
  log.info({}, 'it goes on');
  log.info({ detail: 'x'.repeat(40_000) }, 'too long');
  log.info({}, 'the end');
  assert.deepEqual(
    read().map(({ msg, lines }) => [msg, lines]),
    [
      ['it goes on', undefined],
      ['lines of this log were lost: its output took no more', 3_000 - kept],
      ['the end', undefined],
      ['lines of this log were lost: its output took no more', 1],
    ],
  );
  await own.close();
});

test('lines of a process that may end at any moment are written when the call returns', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'own-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const fd = openSync(join(folder, 'log'), 'a');
  t.after(() => closeSync(fd));
  createOwnLog({ name: 'test' }, 'info', toDescriptorAtOnce(fd)).log.error({}, 'the last');
  assert.match(readFileSync(join(folder, 'log'), 'utf8'), /"msg":"the last"\}\n$/);
});

test('an output that fails at once does not end who logs; what was lost is told when it takes lines again', () => {
  const written: string[] = [];
  let full = true;
  const { log } = createOwnLog({ name: 'test' }, 'info', (chunk, start, length, done) => {
    if (full) return done(new Error('no space left'), 0);
    written.push((JSON.parse(chunk.toString('utf8', start, start + length)) as { msg: string }).msg);
    done(null, length);
  });
  for (let i = 0; i < 1_000; i++) log.info({}, 'lost');
  full = false;
  log.info({}, 'written');
  assert.deepEqual(written, ['written', 'lines of this log were lost: its output took no more']);
});

const FULL = '/dev/full';

test('nor does a disk that is full', { skip: existsSync(FULL) ? false : `no ${FULL} here` }, (t) => {
  const fd = openSync(FULL, 'w');
  t.after(() => closeSync(fd));
  const { log } = createOwnLog({ name: 'test' }, 'info', toDescriptorAtOnce(fd));
  for (let i = 0; i < 300; i++) assert.doesNotThrow(() => log.info({}, 'x'.repeat(10_000)));
});
