import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { recorder, Recorder, transportPair } from '../testing/loopback.ts';
import { handleWrap } from './handle-transport.ts';
import { SmallRead } from './small-reads.ts';
import { wrapStream } from './stream-transport.ts';
import { flushLate, isCrowded } from './turn.ts';

const handles = handleWrap(wrapStream);

/** Reads that make a turn crowded. */
const MANY = 4;

/** The turn that runs now passes for crowded when it ends. */
function crowd(reads = MANY): void {
  for (let i = 0; i < reads; i++) isCrowded();
  flushLate({ scheduled: false, bulky: false, flush() {} });
}

test('the sixteen turns behind one of many reads are crowded, and no other', async () => {
  crowd();
  await endOfTurn();
  for (let turn = 0; turn < 16; turn++) {
    assert.equal(isCrowded(), true);
    crowd(1);
    await endOfTurn();
  }
  assert.equal(isCrowded(), false);
});

test('reads lie one behind the other while one of them is held, and none is over another', () => {
  const [first, second, third] = [new SmallRead(), new SmallRead(), new SmallRead()];
  assert.equal(first.hold(Buffer.from('first, and more'), 5), true);
  assert.equal(second.hold(Buffer.from('second'), 6), true);
  first.forget();
  assert.equal(third.hold(Buffer.from('third'), 5), true);
  const text = ({ buffer, start, end }: SmallRead): string | undefined =>
    buffer?.toString('latin1', start, end);
  assert.deepEqual([first.held, text(second), text(third)], [false, 'second', 'third']);
  second.forget();
  third.forget();
  assert.equal(first.hold(Buffer.from('again'), 5), true);
  assert.deepEqual([first.start, text(first)], [0, 'again']);
  first.forget();
});

test('what is long, or has no room, is not held', () => {
  const long = Buffer.alloc(64 * 1024);
  assert.equal(new SmallRead().hold(long, 2049), false);
  const held: SmallRead[] = [];
  for (let read = new SmallRead(); read.hold(long, 2048); read = new SmallRead()) held.push(read);
  assert.equal(held.length, 32);
  for (const read of held) read.forget();
  const again = new SmallRead();
  assert.equal(again.hold(long, 2048), true);
  again.forget();
});

/** Keeps where its reads lay. */
class Placed extends Recorder {
  readonly starts: number[] = [];

  override onData(buffer: Buffer, start: number, end: number): void {
    this.starts.push(start);
    super.onData(buffer, start, end);
  }
}

test('reads of a crowded turn are held together, and each is handed on to its own connection', async () => {
  assert.ok(handles !== undefined);
  const wrap = handles;
  const pairs = await Promise.all(Array.from({ length: 8 }, () => transportPair(wrap)));
  const peers = pairs.map(({ server }) => {
    const peer = new Placed();
    server.handler = peer;
    return peer;
  });
  for (const [i, { client }] of pairs.entries()) client.write(Buffer.from(`message ${i}`), 0, 9);
  crowd();
  await Promise.all(peers.map((peer) => peer.until(() => peer.length === 9)));
  assert.deepEqual(
    peers.map((peer) => peer.bytes().toString()),
    pairs.map((_, i) => `message ${i}`),
  );
  assert.ok(peers.some(({ starts }) => (starts[0] ?? 0) > 0));
  for (const { client, server } of pairs) {
    client.destroy();
    server.destroy();
  }
});

test('what is held comes before the end that was read with it', async () => {
  assert.ok(handles !== undefined);
  const { client, server } = await transportPair(handles);
  const own = recorder(client);
  const peer = recorder(server);
  // Its last bytes and its end wait together.
  server.end();
  server.pause();
  client.write(Buffer.from('last words'), 0, 10);
  client.end();
  await own.until(() => own.closed);
  crowd();
  await endOfTurn();
  server.resume();
  await peer.until(() => peer.closed);
  assert.equal(peer.bytes().toString(), 'last words');
  assert.equal(peer.ended, true);
});
