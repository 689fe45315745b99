import assert from 'node:assert/strict';
import type { Cause } from '../../../proxy/errors.ts';
import { Http1ClientConnection } from '../../../proxy/http1/client-connection.ts';
import { Http1ServerConnection } from '../../../proxy/http1/server-connection.ts';
import { FakeTransport } from '../../../proxy/testing/fake-transport.ts';
import { feedPieces } from '../../../proxy/testing/pieces.ts';
import { TimerWheel } from '../../../proxy/transport/timers.ts';
import { assertOneResponse } from '../one-response.ts';
import { REQUESTS } from '../requests.ts';
import { ResponseObserver } from '../response-observer.ts';
import { cuts, latin1, type FuzzTarget } from '../target.ts';

/** A first byte from here on: the app closes behind its answer. */
const CLOSES = 128;

interface Outcome {
  readonly observer: ResponseObserver;
  readonly client: FakeTransport;
  readonly refused: readonly Cause[];
  readonly reusable: boolean;
}

/** The first byte chooses the request, and whether the app closes behind its answer. */
function run(bytes: Buffer, at: readonly number[]): Outcome {
  const choice = bytes[0] ?? 0;
  const timers = new TimerWheel(() => 0);
  const client = new FakeTransport();
  const app = new FakeTransport();
  const upstream = new Http1ClientConnection(app, { timers });
  const observer = new ResponseObserver(upstream);
  const refused: Cause[] = [];
  const server = new Http1ServerConnection(client, {
    timers,
    route: () => observer,
    onRefused: (cause) => refused.push(cause),
  });
  const request = REQUESTS[choice % REQUESTS.length] ?? latin1('');
  server.onData(Buffer.from(request), 0, request.length);
  feedPieces(bytes.subarray(1), at, (piece) => {
    if (!app.destroyed) upstream.onData(piece, 0, piece.length);
  });
  if (choice >= CLOSES && !app.destroyed) upstream.onEnd();
  return { observer, client, refused, reusable: upstream.reusable };
}

const answer = (fields: string, body = ''): string => `\u0000HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;

/** Responses of HTTP/1 to a client's connection, handed on to the client of the proxy. */
export const http1Response: FuzzTarget = {
  name: 'http1-response',
  seeds: [
    answer('Content-Length: 5\r\nX-A: b\r\n', 'hello'),
    answer('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Sum: 7\r\n\r\n'),
    '\u0000HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204\r\n\r\n',
    '\u0080HTTP/1.0 200 OK\r\n\r\nto the end',
    '\u0001HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
    '\u0002HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\u0081\u0005frame',
    '\u0003HTTP/1.1 413 Too Large\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nno',
    '\u0000HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: "a"\r\n\r\n',
    '\u0082HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nx',
  ].map(latin1),
  words: [
    '\r\n',
    '\r\n\r\n',
    '\n',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 101 x\r\n',
    'HTTP/1.0 ',
    'Content-Length: ',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    'Upgrade: websocket\r\n',
    '0\r\n\r\n',
    '204',
    '304',
    'content-length',
    ': ',
    '\t',
    'ffffffffffffff',
  ].map(latin1),
  fuzz(bytes) {
    const outcomes = cuts(bytes.subarray(1)).map((at) => run(bytes, at));
    for (const outcome of outcomes) {
      const isHead = (bytes[0] ?? 0) % REQUESTS.length === 1;
      assertOneResponse(outcome.observer, outcome.client, isHead);
      assert.equal(outcome.refused.length, 0);
      if (outcome.reusable) assert.equal(outcome.observer.end, 'whole');
    }
    const [whole, ...others] = outcomes.map(({ observer, reusable }) => ({ ...observer.meaning, reusable }));
    for (const other of others) assert.deepEqual(other, whole, 'what is read depends on the pieces');
  },
};
