import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../../log/index.ts';
import type { Head } from '../message/head.ts';
import { Registry } from '../telemetry/registry.ts';
import { RequestText } from '../telemetry/request-text.ts';
import { requestHead, type RequestParts } from '../testing/request-head.ts';
import { AccessLog } from './access-log.ts';
import type { LogFormat, LoggedRequest } from './log-line.ts';

const STARTED_AT = Date.UTC(2026, 0, 2, 3, 4, 5) + 6.789;
const CLIENT = { address: '10.0.0.1:4711', identity: 'web.shop.serviceaccount' };

function requestOf({ agent = '', ...parts }: RequestParts & { agent?: string }): Head {
  return requestHead({ ...parts, fields: agent === '' ? [] : [['user-agent', agent]] });
}

function logged(head: Head, more: Partial<LoggedRequest> = {}): LoggedRequest {
  const text = new RequestText();
  text.take(head);
  return {
    text,
    http2: false,
    startedAt: STARTED_AT,
    processingMs: 0.25,
    totalMs: 12.5,
    requestBytes: 3,
    responseBytes: 1_234,
    status: 200,
    ...more,
  };
}

/** What a log writes, once all of it is written. */
async function linesOf(
  format: LogFormat,
  requests: readonly LoggedRequest[],
  client = CLIENT,
): Promise<string> {
  let text = '';
  const log = new AccessLog({
    format,
    file: '',
    registry: new Registry(),
    log: silentLog,
    write: (chunk, start, length, done) => {
      text += chunk.toString('latin1', start, start + length);
      done(null, length);
    },
  });
  const line = log.client(client);
  for (const request of requests) log.write(line, request);
  await log.close();
  return text;
}

test("json: Linkerd's fields in Linkerd's forms", async () => {
  const text = await linesOf('json', [logged(requestOf({ path: '/a?b=c', agent: 'curl/8' }))]);
  assert.deepEqual(JSON.parse(text), {
    'client.addr': '10.0.0.1:4711',
    'client.id': 'web.shop.serviceaccount',
    host: 'web.shop:80',
    method: 'GET',
    processing_ns: '250000',
    request_bytes: '3',
    response_bytes: '1234',
    status: 200,
    timestamp: '2026-01-02T03:04:05.006789Z',
    total_ns: '12500000',
    trace_id: '',
    uri: '/a?b=c',
    user_agent: 'curl/8',
    version: 'HTTP/1.1',
  });
});

test('apache: the Common Log Format; HTTP/2 with the whole URI', async () => {
  const head = requestOf({ path: '/a', method: 'POST' });
  assert.equal(
    await linesOf('apache', [logged(head), logged(head, { http2: true, status: 503 })]),
    '10.0.0.1:4711 web.shop.serviceaccount - [2026-01-02T03:04:05.006789Z] "POST /a HTTP/1.1" 200 1234\n' +
      '10.0.0.1:4711 web.shop.serviceaccount - [2026-01-02T03:04:05.006789Z] "POST http://web.shop:80/a HTTP/2.0" 503 1234\n',
  );
  const nobody = await linesOf('apache', [logged(head)], { address: '10.0.0.1:4711', identity: '' });
  assert.match(nobody, /^10\.0\.0\.1:4711 - - \[/);
});

test('an identity of any characters is one line of ASCII, which JSON reads back', async () => {
  const identity = 'wéb.żó\u0085ł.☃.\u{1f600}';
  const text = await linesOf('json', [logged(requestOf({}))], { address: '10.0.0.1:4711', identity });
  assert.match(text, /^[ -~]*\n$/);
  assert.equal((JSON.parse(text) as Record<string, unknown>)['client.id'], identity);
});

test('no client can forge a line, or a field of one', async () => {
  const forged = '","status":200}\r\n{"client.addr":"6.6.6.6:1\u0000\u0085\u00ff';
  for (const format of ['json', 'apache'] as const) {
    const client = { address: '10.0.0.1:4711', identity: `evil" ${forged}` };
    const requests = [logged(requestOf({ path: forged, agent: forged, authority: forged, method: forged }))];
    const text = await linesOf(format, requests, client);
    assert.match(text, /^[\x20-\x7e\u0080-\uffff]*\n$/, `one line of ${format}`);
    if (format === 'json') assert.equal((JSON.parse(text) as Record<string, unknown>)['uri'], forged);
    else assert.equal(text.replaceAll(/\\./g, '').split('"').length, 3);
  }
});

test('whatever stands in a request, JSON can be read, and gives it back up to what is kept', async () => {
  const text = fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  await fc.assert(
    fc.asyncProperty(text, text, async (path, agent) => {
      const written = await linesOf('json', [logged(requestOf({ path, agent }))]);
      const entry = JSON.parse(written) as Record<string, string>;
      assert.equal(entry['uri'], path.slice(0, 2_048));
      assert.equal(entry['user_agent'], agent.slice(0, 256));
    }),
    { numRuns: 50 },
  );
});
