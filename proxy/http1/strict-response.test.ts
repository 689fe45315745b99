import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import { Exchange } from '../message/message.ts';
import type { ResponseSink } from '../message/message.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { feedPieces } from '../testing/pieces.ts';
import { requestHead } from '../testing/request-head.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Http1ClientConnection } from './client-connection.ts';

/** Writes down what a connection to a server hands back; neighbouring pieces of data are one. */
class Log implements ResponseSink {
  readonly events: string[] = [];
  #data = '';

  responseHead(_x: Exchange, head: Head, end: boolean): void {
    this.events.push(`${head.status}${end ? ' end' : ''}`);
  }
  responseData(_x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#data += buffer.toString('latin1', start, end);
    if (last) this.events.push(`${this.#data} end`);
  }
  responseTrailers(_x: Exchange, trailers: Head): void {
    this.events.push(`${this.#data} ${trailers.value(0)}`);
  }
  responseReset(_x: Exchange, cause: Cause): void {
    this.events.push(cause.code);
  }
  requestConsumed(): void {}
}

/** What becomes of a response to a request with this method, fed in pieces; `close`: the server then ends the connection. */
function run(text: string, options: { method?: string; splits?: readonly number[]; close?: boolean } = {}) {
  const { method = 'GET', splits = [], close = false } = options;
  const transport = new FakeTransport();
  const connection = new Http1ClientConnection(transport, { timers: new TimerWheel(() => 0) });
  const log = new Log();
  const x = new Exchange(log);
  x.isHead = method === 'HEAD';
  connection.requestHead(x, requestHead({ method }), true);
  feedPieces(Buffer.from(text, 'latin1'), splits, (piece) => connection.onData(piece, 0, piece.length));
  if (close) connection.onEnd();
  return { events: log.events, reusable: connection.reusable };
}

const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;
const chunked = (body: string): string => ok('Transfer-Encoding: chunked\r\n', body);

describe('HTTP/1 responses: what two implementations could read in two ways breaks the exchange, and the connection is not used again', () => {
  for (const [what, text] of [
    ['content-length with transfer-encoding', ok('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n')],
    ['transfer-encoding with content-length', ok('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n')],
    ['two content-lengths', ok('Content-Length: 3\r\nContent-Length: 4\r\n')],
    ['a list of content-lengths', ok('Content-Length: 3, 3\r\n')],
    ['a signed content-length', ok('Content-Length: -1\r\n')],
    ['an unknown coding', ok('Transfer-Encoding: gzip, chunked\r\n')],
    ['transfer-encoding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a space before the colon', ok('Content-Length : 3\r\n')],
    ['obsolete folding', ok('X: 1\r\n 2\r\n')],
    ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a bare CR in a value', ok('X: 1\r2\r\n')],
    ['NUL in a value', ok('X: a\0b\r\n')],
    ['a control character in the reason', 'HTTP/1.1 200 O\u0001K\r\n\r\n'],
    ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['no version', '200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['status 099', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['101, which nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['two spaces', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['a leading empty line', `\r\n${ok('Content-Length: 0\r\n')}`],
    ['an ISTHMUS pseudo-header', ok(':isthmus-client: a\r\n')],
    ['the greeting of another protocol', '220 mail.shop ESMTP\r\n'],
    ['its first byte', '2'],
    ['a head without end', ok(`X: ${'a'.repeat(70_000)}\r\n`)],
  ] as const)
    test(`head: ${what}`, () => {
      assert.deepEqual(run(text), { events: ['protocol-error'], reusable: false });
    });

  for (const [what, body] of [
    ['0x', '0x3\r\nabc\r\n0\r\n\r\n'],
    ['a space behind the size', '3 \r\nabc\r\n0\r\n\r\n'],
    ['a bare LF behind the size', '3\nabc\r\n0\r\n\r\n'],
    ['more data than the size', '3\r\nabcd\r\n0\r\n\r\n'],
    ['content-length in the trailers', '0\r\nContent-Length: 1\r\n\r\n'],
  ] as const)
    test(`chunked body: ${what}`, () => {
      const { events, reusable } = run(chunked(body));
      assert.deepEqual([events[0], events.at(-1), reusable], ['200', 'protocol-error', false]);
    });

  for (const [what, text, options, events, reusable] of [
    ['a declared length', ok('Content-Length: 3\r\n', 'abc'), {}, ['200', 'abc end'], true],
    [
      'a status above those of HTTP, which means a 5xx (RFC 9110 section 15)',
      'HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n',
      {},
      ['999 end'],
      true,
    ],
    ['no reason phrase', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', {}, ['200 end'], true],
    ['chunks and trailers', chunked('3\r\nabc\r\n0\r\nX: 7\r\n\r\n'), {}, ['200', 'abc 7'], true],
    ['to the end of the connection', ok('', 'abc'), { close: true }, ['200', 'abc end'], false],
    [
      'less than declared',
      ok('Content-Length: 3\r\n', 'ab'),
      { close: true },
      ['200', 'upstream-reset'],
      false,
    ],
    ['chunks without end', chunked('3\r\nabc\r\n'), { close: true }, ['200', 'upstream-reset'], false],
    ['more than declared', ok('Content-Length: 1\r\n', 'ab'), {}, ['200', 'a end'], false],
    ['a length on the answer to HEAD', ok('Content-Length: 3\r\n'), { method: 'HEAD' }, ['200 end'], true],
    ['the beginning of a head', 'HTTP/1', {}, [], false],
    ['a length on 304', 'HTTP/1.1 304 -\r\nContent-Length: 3\r\n\r\n', {}, ['304 end'], true],
    ['103 first', `HTTP/1.1 103 -\r\n\r\n${ok('Content-Length: 0\r\n')}`, {}, ['103', '200 end'], true],
    ['connection: close', ok('Connection: close\r\nContent-Length: 0\r\n'), {}, ['200 end'], false],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', {}, ['200 end'], false],
    ['nothing', '', { close: true }, ['upstream-reset'], false],
  ] as const)
    test(`read as one thing: ${what}`, () => {
      assert.deepEqual(run(text, options), { events, reusable });
    });

  test('every way to cut the bytes gives the same response', () => {
    const texts = fc.constantFrom(
      ok('Content-Length: 5\r\n', 'hello'),
      chunked('3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n'),
      `HTTP/1.1 100 Continue\r\n\r\n${chunked('1\r\nz\r\n0\r\nX-Sum: 7\r\n\r\n')}`,
      ok('Content-Length: 1\r\n', 'ab'),
      chunked('zz\r\n'),
      ok('', 'to the end'),
    );
    fc.assert(
      fc.property(texts, fc.array(fc.nat(), { maxLength: 12 }), (text, splits) => {
        assert.deepEqual(run(text, { splits, close: true }), run(text, { close: true }));
      }),
    );
  });
});
