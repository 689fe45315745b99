import assert from 'node:assert/strict';
import { Http1ServerConnection } from '../../../proxy/http1/server-connection.ts';
import { FakeTransport } from '../../../proxy/testing/fake-transport.ts';
import { feedPieces } from '../../../proxy/testing/pieces.ts';
import { TimerWheel } from '../../../proxy/transport/timers.ts';
import { isMessage, readResponse } from '../../testing/http1-reference.ts';
import { assertOneRequest } from '../one-request.ts';
import { Http1App, type Relayed } from '../relay.ts';
import { cuts, latin1, type FuzzTarget } from '../target.ts';

interface Outcome {
  readonly seen: readonly Relayed[];
  readonly answers: string;
  readonly refused: readonly string[];
}

function run(bytes: Buffer, at: readonly number[]): Outcome {
  const timers = new TimerWheel(() => 0);
  const transport = new FakeTransport();
  const app = new Http1App(timers);
  const refused: string[] = [];
  const connection = new Http1ServerConnection(transport, {
    timers,
    route: () => app,
    onRefused: (cause) => refused.push(cause.code),
  });
  feedPieces(bytes, at, (piece) => connection.onData(piece, 0, piece.length));
  connection.onClose();
  return { seen: app.seen, answers: transport.text(), refused };
}

/** All but the bytes that went out: where chunks begin and end follows the pieces. */
function meaning({ seen, answers, refused }: Outcome): object {
  return { seen: seen.map((one) => ({ ...one, forwarded: '' })), answers, refused };
}

/** Every answer can be told from the next, and there is one for each request and each refusal. */
function assertAnswers({ seen, answers, refused }: Outcome): void {
  const tunnel = seen.at(-1)?.tunnel === true;
  let rest = answers;
  let count = 0;
  for (const one of [...seen, ...refused]) {
    const bodiless = typeof one !== 'string' && one.method === 'HEAD';
    const read = readResponse(rest, bodiless);
    if (read === 'incomplete' && rest === '') break;
    assert.ok(isMessage(read), `the client cannot read ${JSON.stringify(rest)}`);
    rest = read.rest;
    count++;
  }
  assert.equal(rest, '');
  const whole = seen.filter(({ end }) => end === 'whole').length;
  assert.ok(count >= (tunnel ? whole : whole + refused.length), `${count} answers to ${whole} requests`);
}

const HOST = 'Host: shop\r\n';

/** Requests of HTTP/1 to a server's connection, handed on to an app. */
export const http1Request: FuzzTarget = {
  name: 'http1-request',
  seeds: [
    `GET /a?b=c HTTP/1.1\r\n${HOST}Accept: */*\r\n\r\n`,
    `POST /p HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n${HOST}\r\n`,
    `POST /p HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Sum: 7\r\n\r\n`,
    'GET http://shop:81/a HTTP/1.1\r\nHost: other\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n\r\n',
    `\r\nOPTIONS * HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\n`,
    `GET /up HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n\u0081\u0005frame`,
    `GET /no HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
    `PUT /e HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab`,
    `HEAD / HTTP/1.1\r\n${HOST}Cookie: a=b\r\nCookie: c=d\r\nTE: trailers\r\n\r\n`,
    'CONNECT shop:443 HTTP/1.1\r\nHost: shop:443\r\n\r\n',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  ].map(latin1),
  words: [
    '\r\n',
    '\r\n\r\n',
    '\n',
    ' HTTP/1.1\r\n',
    'Host: shop\r\n',
    'Content-Length: ',
    'Transfer-Encoding: chunked\r\n',
    'Connection: ',
    'Upgrade: ',
    'Expect: 100-continue\r\n',
    'GET / HTTP/1.1\r\n',
    'POST ',
    'http://',
    '0\r\n\r\n',
    'chunked',
    'content-length',
    'host',
    '\t',
    ' ',
    ': ',
    '0x',
    'ffffffffffffff',
    ':isthmus-target: x\r\n',
  ].map(latin1),
  fuzz(bytes) {
    const outcomes = cuts(bytes).map((at) => run(bytes, at));
    for (const outcome of outcomes) {
      for (const one of outcome.seen) assertOneRequest(one);
      assertAnswers(outcome);
    }
    const [whole, ...others] = outcomes.map(meaning);
    for (const other of others) assert.deepEqual(other, whole, 'what is read depends on the pieces');
  },
};
