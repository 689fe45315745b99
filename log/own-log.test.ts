import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WriteBytes } from './log-output.ts';
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
      ['lines of this log were lost: standard output took no more', 3_000 - kept],
      ['the end', undefined],
      ['lines of this log were lost: standard output took no more', 1],
    ],
  );
  await own.close();
});
