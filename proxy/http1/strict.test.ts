import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Head, MAX_FIELDS } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import { spanText } from '../bytes/span.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { feedPieces } from '../testing/pieces.ts';
import { TimerWheel } from '../transport/timers.ts';
import { MAX_CHUNK_LINE, MAX_SIZE_DIGITS } from './body-reader.ts';
import { MAX_HEAD_BYTES } from './head-reader.ts';
import { Http1ServerConnection } from './server-connection.ts';
import { HEAD_TIMEOUT_MS } from './limits.ts';

/** Writes down what a connection hands on; neighbouring pieces of data are one. */
class Log implements RequestSink {
  readonly events: string[] = [];
  #data = '';

  requestHead(x: Exchange, head: Head, end: boolean): void {
    const fields = Array.from({ length: head.count }, (_, i) => [nameOf(head, i), head.value(i)].join('='));
    this.events.push(
      [spanText(head.method), spanText(head.authority), spanText(head.path), ...fields, end].join(' '),
    );
    if (end) this.#answer(x);
  }
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#data += buffer.toString('latin1', start, end);
    if (last) this.#finish(x, 'end');
  }
  requestTrailers(x: Exchange, trailers: Head): void {
    this.#finish(x, `${nameOf(trailers, 0)}=${trailers.value(0)}`);
  }
  requestReset(_x: Exchange): void {
    this.events.push('reset');
  }
  responseConsumed(): void {}

  #finish(x: Exchange, how: string): void {
    this.events.push(`${this.#data} ${how}`);
    this.#data = '';
    this.#answer(x);
  }
  #answer(x: Exchange): void {
    const head = new Head();
    head.status = 204;
    x.client.responseHead(x, head, true);
  }
}

function nameOf(head: Head, i: number): string {
  return head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]) ?? '';
}

/** Feeds bytes in pieces; what the route saw and what the client got. */
function run(text: string, splits: readonly number[] = [], timers = new TimerWheel()) {
  const bytes = Buffer.from(text, 'latin1');
  const transport = new FakeTransport();
  const log = new Log();
  const connection = new Http1ServerConnection(transport, { timers, route: () => log });
  feedPieces(bytes, splits, (piece) => connection.onData(piece, 0, piece.length));
  return { events: log.events, answer: transport.text(), transport };
}

const HOST = 'Host: a\r\n';
const get = (fields: string): string => `GET / HTTP/1.1\r\n${HOST}${fields}\r\n`;
const post = (fields: string, body: string): string => `POST / HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;

describe('HTTP/1: what two implementations could read in two ways is refused', () => {
  for (const [what, text] of [
    [
      'content-length with transfer-encoding',
      post('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    ],
    [
      'transfer-encoding with content-length',
      post('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', '0\r\n\r\n'),
    ],
    ['two content-lengths', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')],
    ['a list of content-lengths', post('Content-Length: 3, 3\r\n', 'abc')],
    ['a signed content-length', post('Content-Length: +3\r\n', 'abc')],
    ['a hexadecimal content-length', post('Content-Length: 0x3\r\n', 'abc')],
    ['a content-length too large for a number', post('Content-Length: 99999999999999999999\r\n', '')],
    ['an empty content-length', post('Content-Length: \r\n', '')],
    [
      'two transfer-encodings',
      post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    ],
    ['a coding behind chunked', post('Transfer-Encoding: chunked, gzip\r\n', '0\r\n\r\n')],
    ['chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')],
    ['an empty coding', post('Transfer-Encoding: , chunked\r\n', '0\r\n\r\n')],
    ['a final coding that is not chunked', post('Transfer-Encoding: gzip\r\n', '0\r\n\r\n')],
    ['a masked coding', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
    [
      'transfer-encoding in HTTP/1.0',
      `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a space before the colon', get('Content-Length : 3\r\n')],
    ['a space in a name', get('X Y: 3\r\n')],
    ['an empty name', get(': 3\r\n')],
    ['a line without colon', get('abc\r\n')],
    ['obsolete folding', get('X: 1\r\n 2\r\n')],
    ['a bare LF in the head', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['a bare LF at the end', `GET / HTTP/1.1\r\n${HOST}\n`],
    ['a bare CR in a value', get('X: 1\r2\r\n')],
    ['NUL in a value', get('X: a\0b\r\n')],
    ['NUL in a name', get('X\0: a\r\n')],
    ['a control character in a value', get('X: a\u0001\r\n')],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two Hosts', get('Host: b\r\n')],
    ['Host with user information', 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n'],
    ['Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
    ['another scheme', `GET ftp://a/ HTTP/1.1\r\n${HOST}\r\n`],
    ['user information in the target', `GET http://b@a/ HTTP/1.1\r\n${HOST}\r\n`],
    ['a relative target', `GET a HTTP/1.1\r\n${HOST}\r\n`],
    ['a fragment in the target', `GET /#a HTTP/1.1\r\n${HOST}\r\n`],
    ['a space in the target', `GET /a b HTTP/1.1\r\n${HOST}\r\n`],
    ['* for another method', `GET * HTTP/1.1\r\n${HOST}\r\n`],
    ['two spaces', `GET  / HTTP/1.1\r\n${HOST}\r\n`],
    ['a tab', `GET\t/ HTTP/1.1\r\n${HOST}\r\n`],
    ['HTTP/1.2', `GET / HTTP/1.2\r\n${HOST}\r\n`],
    ['HTTP/2.0', `GET / HTTP/2.0\r\n${HOST}\r\n`],
    ['http/1.1', `GET / http/1.1\r\n${HOST}\r\n`],
    ['HTTP/0.9', 'GET /\r\n\r\n'],
    ['a method that is no token', `G@T / HTTP/1.1\r\n${HOST}\r\n`],
    ['an empty method', ` / HTTP/1.1\r\n${HOST}\r\n`],
    ['a leading space', ` GET / HTTP/1.1\r\n${HOST}\r\n`],
    ['two empty lines in front', `\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\n`],
    [
      'Connection that takes content-length away',
      post('Connection: content-length\r\nContent-Length: 3\r\n', 'abc'),
    ],
    ['Connection that takes Host away', get('Connection: host\r\n')],
    ['an ISTHMUS pseudo-header', get(':isthmus-target: a\r\n')],
    ['CONNECT where it is off', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'],
  ] as const) {
    test(`head: ${what}`, () => {
      const { events, answer } = run(text);
      assert.deepEqual(events, []);
      assert.match(answer, /^HTTP\/1.1 400 Bad Request\r\nl5d-proxy-error: bad-request\r\n/);
      assert.match(answer, /connection: close\r\n\r\n$/);
    });
  }

  const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body);
  for (const [what, body] of [
    ['0x', '0x3\r\nabc\r\n0\r\n\r\n'],
    ['a space in front', ' 3\r\nabc\r\n0\r\n\r\n'],
    ['a space behind', '3 \r\nabc\r\n0\r\n\r\n'],
    ['a sign', '+3\r\nabc\r\n0\r\n\r\n'],
    ['no size', '\r\nabc\r\n0\r\n\r\n'],
    ['a bare LF behind the size', '3\nabc\r\n0\r\n\r\n'],
    ['a bare LF behind the data', '3\r\nabc\n0\r\n\r\n'],
    ['more data than the size', '3\r\nabcd\r\n0\r\n\r\n'],
    ['a size beyond all numbers', 'fffffffffffffff\r\n'],
    ['LF in an extension', '3;a\nb\r\nabc\r\n0\r\n\r\n'],
    ['an endless extension', `3;${'a'.repeat(300)}\r\nabc\r\n0\r\n\r\n`],
    ['content-length in the trailers', '0\r\nContent-Length: 1\r\n\r\n'],
    ['transfer-encoding in the trailers', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['Host in the trailers', '0\r\nHost: b\r\n\r\n'],
    ['a bare LF in the trailers', '0\r\nX: 1\n\r\n'],
  ] as const) {
    test(`chunked body: ${what}`, () => {
      const { events, answer } = run(chunked(body));
      assert.equal(events.at(-1), 'reset');
      assert.match(answer, /^HTTP\/1.1 400 Bad Request\r\n/);
    });
  }

  for (const codings of ['gzip, chunked', 'gzip ,deflate,\tchunked', 'x,CHUNKED'])
    test(`transfer codings that we don't know are 501: ${codings}`, () => {
      const { events, answer } = run(post(`Transfer-Encoding: ${codings}\r\n`, '0\r\n\r\n'));
      assert.deepEqual(events, []);
      assert.match(answer, /^HTTP\/1.1 501 Not Implemented\r\nl5d-proxy-error: not-implemented\r\n/);
    });

  test('too much is 431: bytes, fields', () => {
    const answers = [get(`X: ${'a'.repeat(70_000)}\r\n`), get('X: 1\r\n'.repeat(MAX_FIELDS + 1))].map(
      (text) => run(text, [5]).answer,
    );
    for (const answer of answers) assert.match(answer, /^HTTP\/1.1 431 /);
    assert.match(run(get('X: 1\r\n'.repeat(MAX_FIELDS))).answer, /^HTTP\/1.1 204 /);
  });

  test('a head may have so many bytes, a chunk’s extensions and its size so many characters, however they are cut', () => {
    const head = (bytes: number): string => get(`X: ${'a'.repeat(bytes - get('X: \r\n').length)}\r\n`);
    const chunked = (line: string): string =>
      post('Transfer-Encoding: chunked\r\n', `${line}\r\nhello\r\n0\r\n\r\n`);
    // The line's end counts, too.
    const extension = (more: number): string => chunked(`5;${'a'.repeat(MAX_CHUNK_LINE - 1 + more)}`);
    const size = (digits: number): string => chunked('5'.padStart(digits, '0'));
    for (const [fits, tooMuch, status] of [
      [head(MAX_HEAD_BYTES), head(MAX_HEAD_BYTES + 1), 431],
      [extension(0), extension(1), 400],
      [size(MAX_SIZE_DIGITS), size(MAX_SIZE_DIGITS + 1), 400],
    ] as const) {
      for (const splits of [[], [5], [fits.length - 1], [70, 80, 300]]) {
        assert.match(run(fits, splits).answer, /^HTTP\/1.1 204 /);
        assert.match(run(tooMuch, splits).answer, new RegExp(`^HTTP/1.1 ${status} `));
      }
    }
  });

  test('a head that does not come to its end is answered after its time', () => {
    let now = 0;
    const timers = new TimerWheel(() => now);
    const { transport } = run('GET / HT', [], timers);
    assert.equal(transport.text(), '');
    now = HEAD_TIMEOUT_MS + 200;
    timers.tick();
    assert.match(transport.text(), /^HTTP\/1.1 408 Request Timeout\r\n/);
  });

  test('every way to cut the bytes gives the same requests and answers', () => {
    const parts = fc.constantFrom(
      get('X-A: 1\r\n'),
      `\r\n${get('Cookie: a=b\r\n')}`,
      post('Content-Length: 5\r\n', 'hello'),
      chunked('3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n'),
      chunked('1\r\nz\r\n0\r\nX-Sum: 7\r\n\r\n'),
      'GET http://shop:81/a?b HTTP/1.1\r\nHost: x\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n',
      'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
      get('Content-Length: 0\r\n'),
      'GET / HTTP/1.1\r\nHost a\r\n\r\n',
      chunked('zz\r\n'),
    );
    fc.assert(
      fc.property(
        fc.array(parts, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (list, splits) => {
          const whole = run(list.join(''));
          const cut = run(list.join(''), splits);
          assert.deepEqual([cut.events, cut.answer], [whole.events, whole.answer]);
        },
      ),
    );
    const all = get('X: 1\r\n') + chunked('3\r\nabc\r\n0\r\nT: 1\r\n\r\n') + get('');
    const whole = run(all);
    assert.equal(whole.events.length, 4);
    for (let at = 1; at < all.length; at++) assert.deepEqual(run(all, [at]).events, whole.events);
  });

  test('no bytes make it throw', () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom(
          'GET / HTTP/1.1\r\n',
          'Host: a\r\n',
          '\r\n',
          'Transfer-Encoding: chunked\r\n',
          '5\r\n',
        ),
        fc.string({ unit: 'binary-ascii' }),
      ),
    );
    fc.assert(
      fc.property(
        pieces,
        fc.array(fc.nat(), { maxLength: 5 }),
        (list, splits) => void run(list.join(''), splits),
      ),
    );
  });
});
