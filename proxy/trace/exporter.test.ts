import assert from 'node:assert/strict';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../workload-identity/index.ts';
import { NO_GRPC_STATUS } from '../telemetry/classify.ts';
import type { Outcome } from '../telemetry/http-metrics.ts';
import { Counter } from '../telemetry/registry.ts';
import { RequestText } from '../telemetry/request-text.ts';
import { FakeCollector, readSpans } from '../testing/otlp.ts';
import { TestMesh } from '../testing/mesh/test-mesh.ts';
import { freshAddress } from '../../test/testing/addresses.ts';
import { TimerWheel } from '../transport/timers.ts';
import { textAttribute } from './attributes.ts';
import { Exporter, type ExporterOptions } from './exporter.ts';
import { delimited, wholeNumber } from '../../api/proto/wire-format.ts';
import { requestHead } from '../testing/request-head.ts';
import { judge, MAX_ASKED_MS } from './export-answer.ts';
import { Span } from './span.ts';
import { ATTRIBUTES, SpanEncoder, SpanKind, type EndedSpan } from './span-encoder.ts';
import { BATCH_BYTES, SpanQueue, type Batch } from './span-queue.ts';

const OK: Outcome = { status: 200, success: true, latencyMs: 1.5, grpcStatus: NO_GRPC_STATUS, error: '' };
const STARTED_AT = 1_767_323_045_678.25;
const NOTHING = Buffer.alloc(0);

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function ended(
  parts: { method?: string; path?: string; authority?: string },
  more: Partial<EndedSpan> = {},
): EndedSpan {
  const text = new RequestText();
  text.take(requestHead({ authority: 'web.shop:8080', ...parts }));
  return {
    kind: SpanKind.client,
    startedAt: STARTED_AT,
    text,
    http2: false,
    requestBytes: 0,
    responseBytes: 0,
    resends: 0,
    fixed: textAttribute(ATTRIBUTES, 'isthmus.direction', 'outbound'),
    client: NOTHING,
    peer: NOTHING,
    ...more,
  };
}

/** Writes spans through a queue. @returns the queue, and the batches that it sent */
function queueOf(send?: (batch: Batch) => Promise<void>) {
  let now = 0;
  const timers = new TimerWheel(() => now, 100);
  const dropped = new Counter('');
  const batches: { bytes: Buffer; spans: number }[] = [];
  const queue = new SpanQueue({
    timers,
    dropped,
    send: async (batch) => {
      batches.push({ bytes: Buffer.from(batch.bytes.subarray(0, batch.length)), spans: batch.spans });
      await send?.(batch);
    },
  });
  const encoder = new SpanEncoder();
  const add = (span: EndedSpan, outcome = OK): boolean => {
    const ids = new Span();
    ids.ids.fill(7);
    ids.hasParent = true;
    const room = queue.reserve(encoder.mostBytes(span));
    if (room === undefined) return false;
    queue.commit(encoder.write(room.bytes, room.at, ids, span, outcome));
    return true;
  };
  const pass = (ms: number): void => {
    now += ms;
    timers.tick();
  };
  return { queue, add, pass, batches, dropped };
}

function read(batch: { bytes: Buffer } | undefined) {
  return readSpans(delimited(1, delimited(2, batch?.bytes ?? NOTHING)));
}

test('a span is written as OTLP and the semantic conventions have it', () => {
  const { add, pass, batches } = queueOf();
  const grpc: Outcome = { ...OK, success: false, grpcStatus: 14 };
  add(ended({ path: '/shop.Cart/Add?token=secret', method: 'POST' }, { http2: true, resends: 2 }), grpc);
  const shed: Outcome = { ...OK, status: 503, success: false, error: 'overloaded' };
  add(ended({ method: 'BREW', path: '/caf\u00e9', authority: '[::1]:80' }, { kind: SpanKind.server }), shed);
  pass(2_100);
  const [first, second] = read(batches[0]);
  assert.deepEqual(
    [first?.name, first?.kind, first?.error, first?.startNs, (first?.endNs ?? 0n) - (first?.startNs ?? 0n)],
    ['POST', 3, true, 1_767_323_045_678_250_000n, 1_500_000n],
  );
  assert.deepEqual(first?.attributes, {
    'http.request.method': 'POST',
    'server.address': 'web.shop',
    'server.port': 8080,
    'url.scheme': 'http',
    'url.full': 'http://web.shop:8080/shop.Cart/Add',
    'url.path': '/shop.Cart/Add',
    'network.protocol.version': '2',
    'http.response.status_code': 200,
    'http.request.resend_count': 2,
    'rpc.system': 'grpc',
    'rpc.grpc.status_code': 14,
    'error.type': '200',
    'isthmus.direction': 'outbound',
  });
  assert.deepEqual([second?.name, second?.attributes['http.request.method']], ['HTTP', '_OTHER']);
  assert.deepEqual(
    ['http.request.method_original', 'url.path', 'server.address', 'server.port', 'error.type'].map(
      (name) => second?.attributes[name],
    ),
    ['BREW', '/caf\u00e9', '[::1]', 80, 'overloaded'],
  );
});

test('the longest of requests has its room', () => {
  const { add, pass, batches } = queueOf();
  const long = '\u00ff'.repeat(10_000);
  for (const kind of [SpanKind.client, SpanKind.server])
    add(ended({ method: long, path: long, authority: long }, { kind }));
  pass(2_100);
  assert.equal(read(batches[0]).length, 2);
});

test('what waits is bounded while the collector does not take it, and goes out afterwards', async () => {
  const gate = Promise.withResolvers<void>();
  const { queue, add, batches, dropped } = queueOf(() => gate.promise);
  let taken = 0;
  const span = ended({});
  for (let i = 0; i < 20_000; i++) if (add(span)) taken++;
  assert.equal(batches.length, 1);
  assert.equal(dropped.value, 20_000 - taken);
  assert.ok(taken > 2_000 && taken < (2 * BATCH_BYTES) / 128, `${taken} spans are held`);
  gate.resolve();
  await queue.close(1_000);
  assert.equal(
    batches.reduce((sum, { spans }) => sum + spans, 0),
    taken,
  );
  assert.equal(read(batches[1]).length, batches[1]?.spans);
});

test('two batches are all the memory that is taken, however many go out', async () => {
  const memory = new Set<Buffer>();
  const { queue, add } = queueOf(async ({ bytes }) => {
    memory.add(bytes);
    await nextTurn();
  });
  const span = ended({});
  for (let i = 0; i < 10_000; i++) {
    add(span);
    if (i % 100 === 0) await nextTurn();
  }
  await queue.close(1_000);
  assert.equal(memory.size, 2);
});

/** Waits are over at once; they are noted. */
function hurried(waits: number[]): Clock {
  return {
    now: () => 0,
    monotonic: () => 0,
    after(ms, callback) {
      waits.push(ms);
      setImmediate(callback);
      return { cancel() {} };
    },
  };
}

function exporter(collector: string, more: Partial<ExporterOptions> = {}) {
  const metrics = {
    requests: new Counter(''),
    spans: new Counter(''),
    failures: new Counter(''),
    dropped: new Counter(''),
  };
  const waits: number[] = [];
  const warnings: string[] = [];
  const made = new Exporter({
    collector,
    expect: undefined,
    identity: { clientOptions: () => undefined },
    resolve: async (hostPort) => {
      const [address = '', port = ''] = hostPort.split(':');
      return [{ address, port: Number(port) }];
    },
    localAddress: '127.0.0.1',
    clock: hurried(waits),
    random: () => 0,
    log: { debug() {}, info() {}, error() {}, warn: (_fields, message) => void warnings.push(message) },
    resource: textAttribute(1, 'service.name', 'web'),
    scope: delimited(1, Buffer.from('isthmus-proxy')),
    metrics,
    ...more,
  });
  closers.push(() => made.close());
  return { made, metrics, waits, warnings };
}

function someSpans(): Batch {
  const { add, pass, batches } = queueOf();
  add(ended({}));
  add(ended({}));
  pass(2_100);
  const [batch] = batches;
  assert.ok(batch !== undefined);
  return { bytes: batch.bytes, length: batch.bytes.length, spans: batch.spans };
}

test('a batch arrives with its resource and scope; what a collector is too busy for is sent again, slower and slower', async () => {
  const collector = new FakeCollector();
  closers.push(() => collector.stop());
  const { made, metrics, waits, warnings } = exporter(await collector.start(freshAddress()));
  collector.answers.push(503, 429, 200);
  await made.send(someSpans());
  assert.equal(collector.spans.length, 2);
  assert.deepEqual(
    [collector.spans[0]?.resource, collector.spans[0]?.scope],
    [{ 'service.name': 'web' }, 'isthmus-proxy'],
  );
  assert.deepEqual(
    [metrics.requests.value, metrics.failures.value, metrics.spans.value, metrics.dropped.value],
    [3, 2, 2, 0],
  );
  assert.deepEqual([waits, warnings], [[500, 1_000], ['spans cannot be sent']]);
});

test('what a collector rejects of a batch that it takes is dropped, and told once', async () => {
  const collector = new FakeCollector();
  closers.push(() => collector.stop());
  const { made, metrics, warnings } = exporter(await collector.start(freshAddress()));
  const body = delimited(1, wholeNumber(1, 1), delimited(2, Buffer.from('too old')));
  collector.answers.push({ status: 200, body }, { status: 200, body }, 200);
  for (let i = 0; i < 3; i++) await made.send(someSpans());
  assert.deepEqual(
    [metrics.requests.value, metrics.spans.value, metrics.dropped.value, metrics.failures.value],
    [3, 4, 2, 0],
  );
  assert.deepEqual(warnings, ['spans cannot be sent']);
});

test('a collector is asked again when it says that it may be', async () => {
  const collector = new FakeCollector();
  closers.push(() => collector.stop());
  const { made, waits } = exporter(await collector.start(freshAddress()));
  const retryAfter = (value: string) => ({ status: 429, headers: { 'retry-after': value } });
  // The clock of the exporter stands at the beginning of 1970.
  collector.answers.push(retryAfter('7'), retryAfter('Thu, 01 Jan 1970 00:00:45 GMT'), retryAfter('86400'));
  await made.send(someSpans());
  assert.deepEqual(waits, [7_000, 45_000, MAX_ASKED_MS]);
});

test('what stands where a collector says when it may be asked, and cannot be it, counts as nothing', () => {
  for (const retryAfter of ['', '-5', '1e9', 'soon', 'Wed, 31 Dec 1969 23:59:59 GMT']) {
    const body = Buffer.alloc(0);
    assert.equal((judge({ status: 503, retryAfter, body }, 0) as { afterMs: number }).afterMs, 0, retryAfter);
  }
});

test('an answer that cannot be read is a yes, whatever its bytes', () => {
  for (const body of [Buffer.from('OK'), Buffer.from([0x0a, 0x7f]), Buffer.from('{"partialSuccess":{}}')]) {
    assert.deepEqual(judge({ status: 200, retryAfter: '', body }, 0), {
      kind: 'taken',
      rejected: 0,
      why: '',
    });
  }
});

test('what a collector refuses is not sent again; what nobody takes is given up after some tries', async () => {
  const collector = new FakeCollector();
  closers.push(() => collector.stop());
  const { made, metrics } = exporter(await collector.start(freshAddress()));
  collector.answers.push(400, 413);
  await made.send(someSpans());
  assert.deepEqual([metrics.requests.value, metrics.dropped.value], [1, 2]);
  await made.send(someSpans());
  assert.deepEqual([metrics.requests.value, metrics.dropped.value], [2, 4]);
  const nowhere = exporter(`${freshAddress()}:9`);
  await nowhere.made.send(someSpans());
  assert.deepEqual([nowhere.metrics.requests.value, nowhere.metrics.dropped.value], [6, 2]);
  assert.equal(nowhere.warnings.length, 1);
});

test('a collector of the mesh has to prove who it is: by mutual TLS, and to nobody else spans go', async () => {
  const mesh = await TestMesh.create();
  try {
    const east = await mesh.cluster('east');
    const [own, otel] = [mesh.pod(east, 'web'), mesh.pod(east, 'otel')];
    const identity = await mesh.identity(east, own);
    const collectors = await mesh.identity(east, otel);
    let clients = 0;
    const server = createTlsServer(
      {
        requestCert: true,
        SNICallback: (_name, done) => done(null, collectors.serverOptions()?.secureContext),
      },
      (incoming, response) => {
        const peer = collectors.verifyPeer(incoming.socket as TLSSocket);
        if ('dnsName' in peer && peer.dnsName === own.dnsName) clients++;
        incoming.resume();
        incoming.on('end', () => response.end());
      },
    );
    server.on('tlsClientError', () => {});
    const host = freshAddress();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    closers.push(() => server.close());
    const at = `${host}:${(server.address() as AddressInfo).port}`;
    const trusted = exporter(at, { identity, expect: { dnsName: otel.dnsName, spiffeId: otel.spiffeId } });
    await trusted.made.send(someSpans());
    assert.deepEqual([trusted.metrics.spans.value, clients], [2, 1]);
    const other = mesh.pod(east, 'other');
    const deceived = exporter(at, { identity, expect: { dnsName: other.dnsName } });
    await deceived.made.send(someSpans());
    assert.deepEqual([deceived.metrics.spans.value, deceived.metrics.dropped.value, clients], [0, 2, 1]);
  } finally {
    await mesh.close();
  }
});
