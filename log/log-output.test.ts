import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogOutput, type WriteBytes } from './log-output.ts';

type Done = Parameters<WriteBytes>[3];

/** An output whose writes end when the test says so. */
function harness() {
  let now = 0;
  const planned = new Map<() => void, number>();
  const writes: { text: string; done: Done }[] = [];
  const errors: string[] = [];
  let dropped = 0;
  const output = new LogOutput({
    after: (ms, fire) => {
      // One function may be planned twice: each plan is its own.
      const once = (): void => fire();
      planned.set(once, now + ms);
      return () => planned.delete(once);
    },
    write: (chunk, start, length, done) =>
      void writes.push({ text: chunk.toString('latin1', start, start + length), done }),
    onDropped: (lines) => void (dropped += lines),
    onError: (error) => errors.push(error.message),
  });
  const add = (line: string): boolean => {
    const room = output.reserve(line.length);
    if (room === undefined) return false;
    output.commit(room.at + room.bytes.write(line, room.at, 'latin1'));
    return true;
  };
  const pass = (ms: number): void => {
    now += ms;
    for (const [fire, due] of planned) {
      if (due <= now && planned.delete(fire)) fire();
    }
  };
  return { output, writes, errors, add, pass, dropped: () => dropped };
}

const KIB = 'x'.repeat(1_023) + '\n';

test('a line waits a moment for others; a batch does not wait', () => {
  const { writes, add, pass } = harness();
  add('one\n');
  add('two\n');
  assert.equal(writes.length, 0);
  pass(150);
  assert.deepEqual(
    writes.map(({ text }) => text),
    ['one\ntwo\n'],
  );
  writes[0]?.done(null, 8);
  for (let i = 0; i < 16; i++) add(KIB);
  assert.equal(writes[1]?.text.length, 16 * 1_024);
});

test('one write at a time, in order; what was not taken follows', () => {
  const { writes, add, pass } = harness();
  for (let i = 0; i < 16; i++) add(KIB);
  add('later\n');
  pass(1_000);
  assert.equal(writes.length, 1);
  writes[0]?.done(null, 1_024);
  assert.equal(writes[1]?.text.length, 15 * 1_024);
  writes[1]?.done(null, 15 * 1_024);
  pass(150);
  assert.equal(writes[2]?.text, 'later\n');
});

test('an output that blocks holds a bounded amount; what is beyond is dropped and counted, and it goes on afterwards', () => {
  const { writes, add, pass, dropped } = harness();
  let taken = 0;
  for (let i = 0; i < 3_000; i++) if (add(KIB)) taken++;
  assert.equal(writes.length, 1);
  assert.ok(taken >= 900 && taken <= 1_100, `${taken} lines are held`);
  assert.equal(dropped(), 3_000 - taken);
  let written = 0;
  for (let i = 0; i < writes.length; i++) {
    const { text, done } = writes[i] ?? { text: '', done() {} };
    written += text.length;
    done(null, text.length);
    pass(150);
  }
  assert.equal(written, taken * 1_024);
  assert.ok(add('again\n'));
});

test('a full pipe that does not block is tried again; an error is told once, and ends with what can be written', () => {
  const { writes, errors, add, pass, dropped } = harness();
  const full = Object.assign(new Error('full'), { code: 'EAGAIN' });
  add('one\n');
  pass(150);
  writes[0]?.done(full, 0);
  pass(150);
  assert.equal(writes[1]?.text, 'one\n');
  writes[1]?.done(new Error('no space'), 0);
  for (const error of [new Error('no space'), null, new Error('no space')]) {
    add('two\n');
    pass(150);
    writes.at(-1)?.done(error, 4);
  }
  assert.deepEqual([errors, dropped()], [['no space', 'no space'], 3]);
});

test('a disk that is full takes a part of a line: what comes when there is room begins a new one', () => {
  const { writes, add, pass, dropped } = harness();
  const full = new Error('no space');
  for (const line of ['one\n', 'two\n', 'three\n']) add(line);
  pass(150);
  writes.at(-1)?.done(null, 5);
  assert.equal(writes.at(-1)?.text, 'wo\nthree\n');
  writes.at(-1)?.done(full, 0);
  assert.equal(dropped(), 2);
  add('four\n');
  pass(150);
  assert.equal(writes.at(-1)?.text, '\n');
  writes.at(-1)?.done(full, 0);
  writes.at(-1)?.done(full, 0);
  assert.equal(dropped(), 3);
  add('five\n');
  pass(150);
  for (const text of ['\n', 'five\n']) {
    assert.equal(writes.at(-1)?.text, text);
    writes.at(-1)?.done(null, text.length);
  }
  add('six\n');
  pass(150);
  assert.equal(writes.at(-1)?.text, 'six\n');
});

test('the end waits for what is written, but not for ever', async () => {
  const { output, writes, add, pass } = harness();
  add('last\n');
  const closed = output.close();
  assert.equal(writes[0]?.text, 'last\n');
  writes[0]?.done(null, 5);
  await closed;
  const stuck = harness();
  stuck.add('never\n');
  const given = stuck.output.close();
  stuck.pass(1_100);
  await given;
  pass(0);
});
