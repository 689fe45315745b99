import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { Http1ClientConnection } from '../../proxy/http1/client-connection.ts';
import { Http1ServerConnection } from '../../proxy/http1/server-connection.ts';
import { FakeTransport } from '../../proxy/testing/fake-transport.ts';
import { TimerWheel } from '../../proxy/transport/timers.ts';
import { readCorpus } from '../fuzz/corpus.ts';
import { Http1App, type Relayed } from '../fuzz/relay.ts';
import { ResponseObserver } from '../fuzz/response-observer.ts';
import { http1Request } from '../fuzz/targets/http1-request.ts';
import { ANSWER_CASES } from '../smuggling/answer-cases.ts';
import { HTTP1_CASES } from '../smuggling/http1-cases.ts';
import { isMessage, readResponse } from '../testing/http1-reference.ts';
import { NodeClient, NodeServer, type NodeMessage } from './node-http.ts';
import { REFUSED_BY_NODE, REFUSED_REQUESTS, REFUSED_RESPONSES } from './refused.ts';

const RUNS = 250;
/** What the first byte of a kept answer asks for, as the target's: the other requests upgrade or have a body, which is not compared here. */
const METHODS = ['GET', 'HEAD'];
const REQUESTS = 4;

/** Fields of one hop, by which an app cannot tell whether there was a proxy. */
const HOP =
  /^(?:connection|keep-alive|proxy-connection|proxy-authorization|te|transfer-encoding|upgrade|host): /;

function fieldsOf(fields: readonly string[]): string[] {
  const listed = fields
    .filter((field) => field.startsWith('connection: '))
    .flatMap((field) => field.slice(12).split(','));
  const names = new Set(listed.map((name) => name.trim().toLowerCase()));
  return fields.filter((field) => !HOP.test(field) && !names.has(field.slice(0, field.indexOf(':'))));
}

function ours(text: string): Relayed[] {
  const timers = new TimerWheel(() => 0);
  const app = new Http1App(timers);
  const connection = new Http1ServerConnection(new FakeTransport(), { timers, route: () => app });
  const bytes = Buffer.from(text, 'latin1');
  connection.onData(bytes, 0, bytes.length);
  connection.onClose();
  return app.seen.filter(({ end }) => end === 'whole');
}

function assertSame(text: string, our: Relayed, node: NodeMessage): void {
  const [method = '', target = ''] = node.what.split(' ');
  assert.equal(our.method, method, text);
  // The absolute form names its host itself; without a path OPTIONS is for the whole server.
  const absolute = /^http:\/\/([^/?]+)(.*)$/i.exec(target);
  const pathless = method === 'OPTIONS' ? '*' : '/';
  assert.equal(our.path, absolute === null ? target : absolute[2] || pathless, text);
  const host = node.fields.find((field) => field.startsWith('host: '))?.slice(6) ?? '';
  assert.equal(our.authority, absolute?.[1] ?? host, text);
  assert.deepEqual(fieldsOf(our.fields), fieldsOf(node.fields), text);
  assert.equal(our.body, node.body, text);
  assert.deepEqual(our.trailers, node.trailers, text);
}

describe('HTTP/1.1 requests: what we accept, node:http reads as the same; what we refuse alone has a reason', () => {
  const server = new NodeServer();
  before(() => server.start());
  after(() => server.stop());

  async function compare(text: string): Promise<void> {
    const our = ours(text);
    const node = (await server.read(text)).filter(({ whole }) => whole);
    for (const [i, one] of our.entries()) {
      const same = node[i];
      if (same === undefined) {
        const known = REFUSED_BY_NODE.some(({ when }) => when.test(text));
        assert.ok(known, `node:http alone refuses ${JSON.stringify(text)}`);
        return;
      }
      assertSame(text, one, same);
    }
    if (node.length === our.length) return;
    const reason = REFUSED_REQUESTS.find(({ when }) => when.test(text));
    assert.ok(
      reason !== undefined,
      `node:http alone accepts ${JSON.stringify(text)}: ${JSON.stringify(node.slice(our.length))}`,
    );
  }

  test('the table of smuggling', async () => {
    for (const { sends } of HTTP1_CASES) await compare(sends.replaceAll('HOST', 'raw.shop'));
  });

  test('what fuzzing has kept', async () => {
    for (const bytes of [...http1Request.seeds, ...readCorpus('http1-request').map((one) => one.bytes)])
      await compare(bytes.toString('latin1'));
  });

  const line = fc.tuple(
    fc.constantFrom('GET', 'POST', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS'),
    fc.constantFrom(
      '/',
      '/a?b=c',
      '/%20',
      '/a//b/../c',
      'http://shop/x',
      'http://shop:81',
      '*',
      'a',
      '/a#b',
      '/\u00e9',
      '//x',
      'https://shop/',
    ),
    fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1'),
  );
  const field = fc.oneof(
    fc.constantFrom(
      'Accept: */*',
      'X-Empty:',
      'X: a\tb',
      'X:a',
      'X:  a  ',
      'X-Obs: \u00ff',
      'Cookie: a=b',
      'Cookie: c=d',
      'Connection: close',
      'Connection: X',
      'Connection: keep-alive, ,x-y',
      'Expect: 100-continue',
      'TE: trailers',
      'Trailer: X',
      'Host: other',
      'X : a',
      'X',
      ': a',
      ' X: a',
      'X\u0001: a',
      'X: a\u0001',
      'Content-Length: 0',
      'Content-Length: 00',
      'Content-Length: 3',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: Chunked',
      'Transfer-Encoding: gzip, chunked',
      'Upgrade: websocket',
      'Keep-Alive: timeout=5',
    ),
    fc
      .tuple(fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/), fc.stringMatching(/^[ -~]{0,12}$/))
      .map(([name, value]) => `x-${name}: ${value}`),
  );
  const body = fc.constantFrom(
    '',
    '',
    'abc',
    '0\r\n\r\n',
    '3\r\nabc\r\n0\r\n\r\n',
    '3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
    'A\r\n0123456789\r\n0\r\n\r\n',
    '3\r\nabc\r\n',
    '03\r\nabc\r\n0\r\n\r\n',
  );
  const end = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n');

  test('generated ones', async () => {
    const message = fc.tuple(
      line,
      fc.constantFrom('Host: shop', 'Host: shop:80', 'Host: [::1]:80', 'Host:'),
      fc.array(field, { maxLength: 3 }),
      body,
      end,
    );
    await fc.assert(
      fc.asyncProperty(message, async ([first, host, fields, content, eol]) => {
        await compare(`${[first.join(' '), host, ...fields].join(eol)}${eol}${eol}${content}`);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('HTTP/1.1 responses: what we accept, node:http reads as the same; what we refuse alone has a reason', () => {
  const client = new NodeClient();
  before(() => client.start());
  after(() => client.stop());

  function read(text: string, method: string): ResponseObserver {
    const timers = new TimerWheel(() => 0);
    const app = new FakeTransport();
    const upstream = new Http1ClientConnection(app, { timers });
    const observer = new ResponseObserver(upstream);
    const from = new Http1ServerConnection(new FakeTransport(), { timers, route: () => observer });
    const request = Buffer.from(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    from.onData(request, 0, request.length);
    const bytes = Buffer.from(text, 'latin1');
    if (bytes.length > 0) upstream.onData(bytes, 0, bytes.length);
    if (!app.destroyed) upstream.onEnd();
    return observer;
  }

  const status = fc.constantFrom(
    '200 OK',
    '200',
    '200 ',
    '204 No Content',
    '304 -',
    '404 Not Found',
    '500 x y',
    '199 -',
    '600 x',
    '99 x',
    '0200 OK',
    '2OO OK',
  );
  const version = fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/0.9');
  const field = fc.constantFrom(
    'X: a',
    'X:',
    'Content-Length: 3',
    'Content-Length: 0',
    'Content-Length: +3',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: identity',
    'Connection: close',
    'Set-Cookie: a',
    'Set-Cookie: b',
    'X : a',
    'X: a\u0001',
    'ETag: "x"',
    'Trailer: X-T',
  );
  const body = fc.constantFrom(
    '',
    'abc',
    'abcd',
    '3\r\nabc\r\n0\r\n\r\n',
    '3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
    '3\nabc\n0\n\n',
    '3\r\nabc\r\n',
  );

  async function compare(text: string, method: string): Promise<void> {
    const our = read(text, method);
    const node = await client.read(text, method);
    if (our.end === 'whole' && our.final !== undefined) {
      if (node?.whole !== true) {
        // Bytes behind an answer: for node:http an error, for us the end of the connection.
        // The reference knows what proxies write: 1.1, a space behind the status, and no extensions of chunks.
        const usual = text.replace(/^HTTP\/1\.0/, 'HTTP/1.1').replace(/^(\S+ \d+)\r/, '$1 \r');
        const reference = readResponse(usual, method === 'HEAD');
        assert.ok(
          isMessage(reference) && reference.rest !== '',
          `node:http alone refuses ${JSON.stringify(text)}`,
        );
        return;
      }
      assert.equal(String(our.final.status), node.what, text);
      assert.deepEqual(fieldsOf(our.final.fields), fieldsOf(node.fields), text);
      assert.equal(our.body, node.body, text);
      assert.deepEqual(our.trailers, node.trailers, text);
    } else if (node?.whole === true) {
      const reason = REFUSED_RESPONSES.find(({ when }) => when.test(text));
      assert.ok(reason !== undefined, `node:http alone accepts ${JSON.stringify(text)}`);
    }
  }

  test('the table of smuggling', async () => {
    for (const { answers } of ANSWER_CASES) await compare(answers, 'GET');
  });

  test('what is kept for fuzzing', async () => {
    for (const { bytes } of readCorpus('http1-response')) {
      const method = METHODS[(bytes[0] ?? 0) % REQUESTS];
      if (method !== undefined) await compare(bytes.toString('latin1', 1), method);
    }
  });

  test('generated ones', async () => {
    const message = fc.tuple(
      version,
      status,
      fc.array(field, { maxLength: 3 }),
      body,
      fc.constantFrom('GET', 'GET', 'HEAD'),
    );
    await fc.assert(
      fc.asyncProperty(message, ([first, code, fields, content, method]) =>
        compare(`${[`${first} ${code}`, ...fields].join('\r\n')}\r\n\r\n${content}`, method),
      ),
      { numRuns: RUNS },
    );
  });
});
