import assert from 'node:assert/strict';
import { Http1ServerConnection } from '../../../proxy/http1/server-connection.ts';
import { Http2Connection } from '../../../proxy/http2/connection.ts';
import { FakeTransport } from '../../../proxy/testing/fake-transport.ts';
import { frame, SETTINGS, wordFrame } from '../../../proxy/testing/http2-frames.ts';
import { feedPieces } from '../../../proxy/testing/pieces.ts';
import { TimerWheel } from '../../../proxy/transport/timers.ts';
import { assertOneResponse } from '../one-response.ts';
import { REQUESTS } from '../requests.ts';
import { ResponseObserver } from '../response-observer.ts';
import { cuts, hex, latin1, type FuzzTarget } from '../target.ts';

/** A first byte from here on: the server closes at the end. */
const CLOSES = 128;

interface Outcome {
  readonly observers: readonly ResponseObserver[];
  readonly clients: readonly FakeTransport[];
}

/** Every request of `REQUESTS` on one connection: streams 1, 3, 5, 7. */
function run(bytes: Buffer, at: readonly number[]): Outcome {
  const timers = new TimerWheel(() => 0);
  const server = new FakeTransport();
  const connection = new Http2Connection(server, { side: 'client', timers, isthmus: true });
  connection.onData(SETTINGS, 0, SETTINGS.length);
  const observers: ResponseObserver[] = [];
  const clients = REQUESTS.map((request) => {
    const client = new FakeTransport();
    const observer = new ResponseObserver(connection);
    observers.push(observer);
    const from = new Http1ServerConnection(client, { timers, route: () => observer });
    from.onData(Buffer.from(request), 0, request.length);
    return client;
  });
  feedPieces(bytes.subarray(1), at, (piece) => connection.onData(piece, 0, piece.length));
  if ((bytes[0] ?? 0) >= CLOSES) {
    connection.onEnd();
    connection.onClose();
    assert.deepEqual([connection.activeStreams, connection.bufferedBytes], [0, 0], 'something is left over');
    for (const { end } of observers) assert.notEqual(end, 'open', 'a request is never answered');
  }
  return { observers, clients };
}

const field = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), latin1(name), Buffer.from([value.length]), latin1(value)]);
const input = (choice: number, ...frames: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([choice]), ...frames]);
const OK = hex('88');

/** Frames of an HTTP/2 server; its answers are handed on to clients of HTTP/1.1. */
export const http2Client: FuzzTarget = {
  name: 'http2-client',
  seeds: [
    input(
      0,
      frame(1, 5, 1, OK),
      frame(1, 4, 3, OK),
      frame(0, 1, 3, ''),
      frame(1, 4, 7, OK),
      frame(0, 1, 7, 'hello'),
    ),
    input(
      128,
      frame(1, 4, 1, Buffer.concat([OK, field('content-length', '5')])),
      frame(0, 0, 1, 'hel'),
      frame(0, 9, 1, '\u0001lo\0'),
    ),
    input(
      128,
      frame(1, 4, 1, OK),
      frame(0, 0, 1, 'a'),
      frame(1, 5, 1, field('grpc-status', '0')),
      frame(7, 0, 0, Buffer.alloc(8)),
    ),
    input(
      0,
      frame(1, 4, 5, Buffer.concat([field(':status', '101'), field('upgrade', 'websocket')])),
      frame(0, 0, 5, 'frame'),
      frame(0, 1, 5, 'end'),
    ),
    input(
      128,
      frame(1, 4, 1, field(':status', '103')),
      frame(1, 0, 1, OK),
      frame(9, 4, 1, field('x-a', 'b')),
      wordFrame(3, 1, 2),
      wordFrame(3, 3, 7),
    ),
    input(
      0,
      frame(4, 0, 0, hex('0001 00000000 0004 00000001 0006 00000100')),
      wordFrame(8, 7, 9),
      wordFrame(8, 0, 9),
      frame(6, 0, 0, Buffer.alloc(8)),
      frame(1, 5, 7, hex('89')),
    ),
  ],
  words: [
    frame(1, 5, 1, OK),
    frame(1, 4, 3, OK),
    frame(1, 4, 5, OK),
    frame(0, 1, 1, 'ab'),
    frame(0, 0, 3, 'c'),
    frame(9, 4, 1, field('a', 'b')),
    SETTINGS,
    wordFrame(3, 1, 8),
    wordFrame(8, 1, 9),
    frame(7, 0, 0, Buffer.alloc(8)),
    frame(5, 4, 1, hex('0000000288')),
    frame(6, 1, 0, Buffer.alloc(8)),
    field(':status', '101'),
    field(':status', '100'),
    field(':status', '2 0'),
    field('content-length', '3'),
    field('transfer-encoding', 'chunked'),
    field('upgrade', 'websocket'),
    field('a\r\nb', 'c'),
    field('a', 'b\r\nc'),
    field('connection', 'close'),
    field(':isthmus-port', '1'),
    hex('000003'),
    hex('be'),
    hex('40'),
  ],
  fuzz(bytes) {
    const outcomes = cuts(bytes.subarray(1)).map((at) => run(bytes, at));
    for (const { observers, clients } of outcomes) {
      for (const [i, observer] of observers.entries()) {
        const client = clients[i];
        if (client !== undefined) assertOneResponse(observer, client, i === 1);
      }
    }
    const [whole, ...others] = outcomes.map(({ observers }) => observers.map(({ meaning }) => meaning));
    for (const other of others) assert.deepEqual(other, whole, 'what is read depends on the pieces');
  },
};
