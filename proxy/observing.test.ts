import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask, metricSum, startApp } from './testing/mesh/http.ts';
import { meshedEndpoint, TestMesh, type TestPod } from './testing/mesh/test-mesh.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import { FakeCollector, type ReadSpan } from './testing/otlp.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const CLIENT = 3;
const SERVER = 2;

/** Answers with the fields that it got. */
function echo(incoming: IncomingMessage, response: ServerResponse): void {
  incoming.resume();
  incoming.on('end', () => {
    response.statusCode = incoming.url === '/fail' ? 500 : 200;
    response.end(JSON.stringify(incoming.headers));
  });
}

describe('a pair of sidecars that tell of single requests', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-access-log-'));
  const file = join(folder, 'access.log');
  const collector = new FakeCollector();
  let mesh: TestMesh;
  let client: TestPod;
  let server: TestPod;
  let stopServer: () => Promise<void>;

  before(async () => {
    mesh = await TestMesh.create();
    const east = await mesh.cluster('east');
    client = mesh.pod(east, 'client');
    server = mesh.pod(east, 'server');
    const traces = {
      collector: await collector.start(freshAddress()),
      identity: undefined,
      sampling: 0,
      serviceName: 'of-the-server',
      sendAfterMs: 20,
    };
    await mesh.sidecar(east, client, { traces: { ...traces, serviceName: 'of-the-client' } });
    const accessLog = { format: 'json', file } as const;
    const running = await mesh.sidecar(east, server, { traces, accessLog });
    stopServer = () => running.drain();
    const app = await startApp(mesh, server.ip, echo);
    east.controlPlane.setService('web.shop:80', [meshedEndpoint(server, app.port)]);
  });
  after(async () => {
    await mesh.close();
    collector.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function seen(path: string, headers: Record<string, string>) {
    const answer = await ask(client.ip, `http://web.shop${path}`, { headers });
    return JSON.parse(answer.body.toString()) as Record<string, string>;
  }

  function of(service: string): ReadSpan[] {
    return collector.spans.filter(({ resource }) => resource['service.name'] === service);
  }

  test('a sampled request is a span of each sidecar, one below the other, and the app belongs to the last', async () => {
    const headers = await seen('/path?secret=1', {
      traceparent: `00-${TRACE}-${PARENT}-01`,
      tracestate: 'a=1,b=2',
      'user-agent': 'test "1"',
    });
    await collector.until(2);
    const [outbound] = of('of-the-client');
    const [inbound] = of('of-the-server');
    assert.ok(outbound !== undefined && inbound !== undefined);
    assert.deepEqual(
      [outbound, inbound].map(({ traceId, parentId, kind, name }) => [traceId, parentId, kind, name]),
      [
        [TRACE, PARENT, CLIENT, 'GET'],
        [TRACE, outbound.spanId, SERVER, 'GET'],
      ],
    );
    assert.deepEqual(
      [headers['traceparent'], headers['tracestate']],
      [`00-${TRACE}-${inbound.spanId}-01`, 'a=1,b=2'],
    );
    assert.ok(outbound.endNs >= outbound.startNs);
    assert.ok(Math.abs(Number(outbound.startNs / 1_000_000n) - Date.now()) < 600_000);
    const { attributes } = outbound;
    assert.deepEqual(
      ['http.request.method', 'http.response.status_code', 'server.address', 'url.full', 'url.path'].map(
        (name) => attributes[name],
      ),
      ['GET', 200, 'web.shop', 'http://web.shop/path', '/path'],
    );
    assert.equal(attributes['isthmus.server_id'], server.spiffeId);
    assert.equal(attributes['user_agent.original'], 'test "1"');
    assert.equal(inbound.attributes['isthmus.client_id'], client.dnsName);
    assert.equal(inbound.resource['k8s.pod.name'], 'server');
    assert.equal(outbound.error, false);
  });

  test('what others decided against is passed on as it came, and so is what nobody decided', async () => {
    const before = collector.spans.length;
    const unsampled = { traceparent: `00-${TRACE}-${PARENT}-00`, tracestate: 'a=1' };
    const single = { b3: `${TRACE}-${PARENT}-0` };
    const several = { 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT, 'x-b3-sampled': '0' };
    for (const headers of [unsampled, single, several]) {
      const passed = await seen('/', headers);
      for (const [name, value] of Object.entries(headers)) assert.equal(passed[name], value);
    }
    assert.equal((await seen('/', {}))['traceparent'], undefined);
    assert.equal((await seen('/', { traceparent: 'nonsense' }))['traceparent'], 'nonsense');
    // Whatever had been made would come no later than what is made now.
    await seen('/fail', { traceparent: `00-${TRACE}-${PARENT}-01` });
    await collector.until(before + 2);
    assert.equal(collector.spans.length, before + 2);
    assert.ok(collector.spans.slice(before).every((span) => span.error));
  });

  test('B3 goes on as B3, in one field or in several', async () => {
    const before = collector.spans.length;
    const { b3 = '' } = await seen('/', { b3: `${TRACE}-${PARENT}-1` });
    const fields = await seen('/', {
      'x-b3-traceid': TRACE,
      'x-b3-spanid': PARENT,
      'x-b3-sampled': '1',
    });
    await collector.until(before + 4);
    const spans = collector.spans.slice(before);
    const last = (parent: string): string | undefined =>
      spans.find(({ spanId, kind }) => kind === SERVER && spanId === parent)?.traceId;
    const [trace, id = '', sampled] = b3.split('-');
    assert.deepEqual([trace, last(id), sampled], [TRACE, TRACE, '1']);
    assert.deepEqual([fields['x-b3-traceid'], last(fields['x-b3-spanid'] ?? '')], [TRACE, TRACE]);
    const outbound = spans.filter(({ kind }) => kind === CLIENT).map(({ spanId }) => spanId);
    assert.ok(outbound.includes(fields['x-b3-parentspanid'] ?? ''));
  });

  test('the sending of spans is no part of a trace, and metrics tell of it', async () => {
    for (const { url, headers } of collector.requests) {
      assert.equal(url, '/v1/traces');
      assert.equal(headers['content-type'], 'application/x-protobuf');
      assert.match(String(headers['traceparent']), /-00$/);
    }
    const sent = await Promise.all(
      [client, server].map(({ ip }) => metricSum(ip, 'opentelemetry_span_export_requests')),
    );
    assert.equal(
      sent.reduce((sum, n) => sum + n),
      collector.requests.length,
    );
    assert.equal(await metricSum(server.ip, 'opentelemetry_span_drops_total'), 0);
  });

  test("a line of the access log for each request, in Linkerd's form, whatever clients write", async () => {
    await ask(client.ip, 'http://web.shop/a"b?x=\\y', {
      method: 'POST',
      body: 'twelve bytes',
      headers: { 'user-agent': 'quote " backslash \\ high \u00e9', 'x-request-id': 'id-1' },
    });
    await stopServer();
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as Record<string, string | number>);
    const last = entries.at(-1) ?? {};
    assert.deepEqual(Object.keys(last).sort(), [
      'client.addr',
      'client.id',
      'host',
      'method',
      'processing_ns',
      'request_bytes',
      'response_bytes',
      'status',
      'timestamp',
      'total_ns',
      'trace_id',
      'uri',
      'user_agent',
      'version',
    ]);
    assert.match(String(last['client.addr']), new RegExp(`^${client.ip.replaceAll('.', '\\.')}:\\d+$`));
    assert.deepEqual(
      [last['client.id'], last['host'], last['method'], last['uri'], last['status']],
      [client.dnsName, 'web.shop', 'POST', '/a"b?x=\\y', 200],
    );
    assert.deepEqual(
      [last['user_agent'], last['request_bytes'], last['trace_id'], last['version']],
      ['quote " backslash \\ high \u00e9', '12', 'id-1', 'HTTP/1.1'],
    );
    assert.ok(
      Number(last['total_ns']) >= Number(last['processing_ns']) && Number(last['response_bytes']) > 0,
    );
    assert.ok(Math.abs(Date.parse(String(last['timestamp'])) - Date.now()) < 600_000);
    assert.ok(entries.some((entry) => entry['trace_id'] === TRACE && entry['status'] === 500));
  });
});
