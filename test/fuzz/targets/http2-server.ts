import assert from 'node:assert/strict';
import { Http2Connection } from '../../../proxy/http2/connection.ts';
import { PREFACE } from '../../../proxy/http2/frames.ts';
import { FakeTransport } from '../../../proxy/testing/fake-transport.ts';
import { frame, REQUEST, requestFrame, SETTINGS, wordFrame } from '../../../proxy/testing/http2-frames.ts';
import { feedPieces } from '../../../proxy/testing/pieces.ts';
import { TimerWheel } from '../../../proxy/transport/timers.ts';
import { readSaid, type Said } from '../../testing/http2-reference.ts';
import { assertOneRequest } from '../one-request.ts';
import { Http1App, OpaqueApp, type Relayed } from '../relay.ts';
import { cuts, hex, latin1, type FuzzTarget } from '../target.ts';

interface Outcome {
  readonly seen: readonly Relayed[];
  readonly said: readonly Said[];
  readonly refused: readonly string[];
}

/** Bits of the first byte: the client is one of our proxies; it has not sent its SETTINGS yet. */
const ISTHMUS = 1;
const SILENT = 2;

function run(bytes: Buffer, at: readonly number[]): Outcome {
  const choice = bytes[0] ?? 0;
  const timers = new TimerWheel(() => 0);
  const transport = new FakeTransport();
  const app = new Http1App(timers);
  const opaque = new OpaqueApp();
  const refused: string[] = [];
  const connection = new Http2Connection(transport, {
    side: 'server',
    timers,
    isthmus: (choice & ISTHMUS) !== 0,
    route: (x, head) => (x.opaque || head.path.end === 0 ? opaque : app),
    onRefused: (cause) => refused.push(cause.code),
  });
  const begin = (choice & SILENT) === 0 ? Buffer.concat([PREFACE, SETTINGS]) : PREFACE;
  connection.onData(begin, 0, begin.length);
  feedPieces(bytes.subarray(1), at, (piece) => connection.onData(piece, 0, piece.length));
  connection.onClose();
  assert.deepEqual([connection.activeStreams, connection.bufferedBytes], [0, 0], 'something is left over');
  assert.equal(opaque.open, 0, 'a stream is left over');
  return { seen: app.seen, said: readSaid(transport.bytes()), refused };
}

/** How often windows are opened follows the pieces. */
function meaning({ seen, said, refused }: Outcome): object {
  return {
    seen: seen.map((one) => ({ ...one, forwarded: '' })),
    said: said.filter(({ kind }) => kind !== 'window'),
    refused,
  };
}

/** Each stream is answered at most once and by rule; nothing follows a GOAWAY that tells an error. */
function assertAnswers({ said }: Outcome): void {
  const ended = new Set<number>();
  let failed = false;
  for (const one of said) {
    assert.ok(!failed, 'something is said behind the end');
    if (one.kind === 'goaway') failed = one.code !== 0;
    if (one.kind === 'headers') assert.match(one.fields[0] ?? '', /^:status: [1-9][0-9][0-9]$/);
    if (one.kind !== 'headers' && one.kind !== 'data') continue;
    assert.ok(!ended.has(one.id), `stream ${one.id} goes on behind its end`);
    if (one.end) ended.add(one.id);
  }
}

const field = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), latin1(name), Buffer.from([value.length]), latin1(value)]);
const input = (choice: number, ...frames: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([choice]), ...frames]);
const POST = Buffer.from('838684010161', 'hex');
const OURS = Buffer.concat([field(':isthmus-port', '80'), field(':isthmus-protocol', 'http/1.1')]);

/** Frames of an HTTP/2 client; its requests are handed on to an app over HTTP/1.1. */
export const http2Server: FuzzTarget = {
  name: 'http2-server',
  seeds: [
    input(0, requestFrame(1), requestFrame(3), frame(6, 0, 0, Buffer.alloc(8, 1))),
    input(0, frame(1, 4, 1, POST), frame(0, 0, 1, 'hello '), frame(0, 1, 1, 'world')),
    input(
      0,
      frame(1, 4, 1, Buffer.concat([POST, field('content-length', '3')])),
      frame(0, 9, 1, '\u0002abc\0\0'),
    ),
    input(0, frame(1, 4, 1, POST), frame(0, 0, 1, 'a'), frame(1, 5, 1, field('x-sum', '7'))),
    input(0, frame(1, 1, 1, REQUEST), frame(9, 4, 1, field('x-a', 'b')), wordFrame(3, 1, 8)),
    input(
      0,
      frame(1, 0x2d, 1, Buffer.concat([hex('02 00000000 10'), REQUEST, hex('0000')])),
      wordFrame(8, 0, 9),
      wordFrame(8, 1, 9),
    ),
    input(1, frame(1, 5, 1, Buffer.concat([REQUEST, OURS, field('cookie', 'a=b'), field('cookie', 'c=d')]))),
    input(
      1,
      frame(
        1,
        4,
        1,
        Buffer.concat([
          field(':method', 'CONNECT'),
          field(':authority', 'a:1'),
          field(':isthmus-protocol', 'tcp'),
        ]),
      ),
      frame(0, 1, 1, 'bytes'),
    ),
    input(
      1,
      frame(
        1,
        4,
        1,
        Buffer.concat([
          REQUEST.subarray(0, 2),
          field(':path', '/up'),
          REQUEST.subarray(3),
          OURS,
          field('upgrade', 'websocket'),
        ]),
      ),
      frame(0, 0, 1, 'frame'),
    ),
    input(
      2,
      SETTINGS,
      frame(4, 0, 0, hex('0001 00000000 0004 00000000 0005 00004000')),
      requestFrame(1),
      frame(4, 1, 0),
      frame(7, 0, 0, Buffer.alloc(8)),
      frame(2, 0, 1, Buffer.alloc(5)),
    ),
  ],
  words: [
    requestFrame(1),
    requestFrame(3, 4),
    requestFrame(5),
    frame(0, 1, 1, 'ab'),
    frame(0, 0, 3, ''),
    frame(9, 4, 1, field('a', 'b')),
    frame(1, 1, 1, REQUEST),
    SETTINGS,
    wordFrame(3, 1, 8),
    wordFrame(8, 0, 1),
    wordFrame(8, 1, 0x7fffffff),
    frame(6, 0, 0, Buffer.alloc(8)),
    frame(7, 0, 0, Buffer.alloc(8)),
    frame(2, 0, 3, Buffer.alloc(5)),
    field('content-length', '3'),
    field('transfer-encoding', 'chunked'),
    field('host', 'a'),
    field('te', 'trailers'),
    field('a\r\nb', 'c'),
    field('a', 'b\nc'),
    field(':path', '/ HTTP/1.1'),
    field(':authority', 'a b'),
    field(':method', 'GET /x'),
    field(':isthmus-target', 'a'),
    field('upgrade', 'h2c'),
    field('connection', 'close'),
    hex('000005'),
    hex('40'),
    hex('be'),
    hex('20'),
  ],
  fuzz(bytes) {
    const outcomes = cuts(bytes.subarray(1)).map((at) => run(bytes, at));
    for (const outcome of outcomes) {
      for (const one of outcome.seen) assertOneRequest(one);
      assertAnswers(outcome);
    }
    const [whole, ...others] = outcomes.map(meaning);
    for (const other of others) assert.deepEqual(other, whole, 'what is read depends on the pieces');
  },
};
