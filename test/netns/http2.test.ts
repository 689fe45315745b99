/** HTTP/2 and gRPC on redirected connections: both sides find out by the preface what is spoken, and clients and servers know nothing of them. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { AppResult } from './messages.ts';
import { missing } from './namespaces.ts';
import { TestPods, type App, type Pod } from './pods.ts';

const HTTP2 = 8082;
const GRPC = 9090;
const OPAQUE = 8083;
const FAREWELL = 9001;
const SERVICE = '10.96.0.20';

const skip = missing();

suite('redirection of HTTP/2', { skip: skip !== undefined, timeout: 240_000 }, () => {
  let pods: TestPods;
  let client: Pod;
  let server: Pod;
  let outside: App;

  before(async () => {
    pods = await TestPods.create();
    [client, server] = await Promise.all([
      pods.pod('client', 2),
      pods.pod('server', 3, { opaquePorts: [OPAQUE] }),
    ]);
    outside = pods.app(pods.network.namespace('outside', 4));
    for (const port of [HTTP2, OPAQUE]) await server.app.ask({ do: 'serve-http2', port });
    await server.app.ask({ do: 'serve-grpc', host: '0.0.0.0', port: GRPC });
    await server.app.ask({ do: 'serve-farewell', port: FAREWELL, greeting: 'bye' });
    await service(`${SERVICE}:80`, HTTP2);
    await service(`${SERVICE}:${GRPC}`, GRPC);
    await service(`${SERVICE}:${OPAQUE}`, OPAQUE, true);
    await service(`${SERVICE}:${FAREWELL}`, FAREWELL, true);
  });
  after(() => pods?.close());

  function service(authority: string, appPort: number, opaque = false): Promise<void> {
    return client.tell({ kind: 'service', authority, endpoints: [server.endpoint(appPort)], opaque });
  }

  async function ask(app: App, url: string, ...bodies: string[]): Promise<readonly string[]> {
    const result = await app.ask({ do: 'ask-http2', url, authority: 'web.shop:80', bodies });
    assert.ok(result.kind === 'answers', JSON.stringify(result));
    return result.answers;
  }

  const answerOf = (seen: object): string => `200 ${JSON.stringify(seen)} yes`;

  /** Sum of the samples of a metric of a sidecar that have these labels. */
  async function count(pod: Pod, name: string, labels: Record<string, string>): Promise<number> {
    const { body } = await client.app.get(`http://${pod.namespace.ip4}:4191/metrics`);
    const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
    return body
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  test('prior knowledge, many requests on one connection: the server knows its client, bodies and trailers come through', async () => {
    const seen = { from: server.namespace.ip4, host: 'web.shop:80', client: client.dnsName };
    const body = 'x'.repeat(200_000);
    const before = await count(server, 'request_total', { direction: 'inbound' });
    const answers = await ask(client.app, `http://${SERVICE}:80`, '', body, '', 'short');
    assert.deepEqual(answers, [answerOf(seen), `200 ${body} yes`, answerOf(seen), '200 short yes']);
    assert.equal((await count(server, 'request_total', { direction: 'inbound' })) - before, 4);
    const detected = { direction: 'outbound', protocol: 'http2' };
    assert.equal(await count(client, 'protocol_detections_total', detected), 1);
  });

  test('the original destination is where it goes, whatever :authority says', async () => {
    await service('web.shop:80', FAREWELL);
    await service(`${server.namespace.ip4}:${HTTP2}`, HTTP2);
    const seen = { from: server.namespace.ip4, host: 'web.shop:80', client: client.dnsName };
    assert.deepEqual(await ask(client.app, `http://${server.namespace.ip4}:${HTTP2}`, ''), [answerOf(seen)]);
  });

  test('an opaque port: its bytes pass as they are, and nobody is named inside', async () => {
    const detected = { direction: 'outbound', protocol: 'opaque', reason: 'marked' };
    const before = await count(client, 'protocol_detections_total', detected);
    const seen = { from: server.namespace.ip4, host: 'web.shop:80' };
    assert.deepEqual(await ask(client.app, `http://${SERVICE}:${OPAQUE}`, ''), [answerOf(seen)]);
    assert.equal((await count(client, 'protocol_detections_total', detected)) - before, 1);
  });

  test('from outside of the mesh: found by its preface on the way in, without a client’s name, and by policy', async () => {
    const url = `http://${server.namespace.ip4}:${HTTP2}`;
    const seen = { from: server.namespace.ip4, host: 'web.shop:80' };
    assert.deepEqual(await ask(outside, url, ''), [answerOf(seen)]);
    const detected = { direction: 'inbound', protocol: 'http2' };
    assert.equal(await count(server, 'protocol_detections_total', detected), 1);

    await server.tell({ kind: 'policy', port: HTTP2, identities: [client.dnsName] });
    assert.match((await ask(outside, url, '')).join(), /^403 /);
    assert.match((await ask(client.app, `http://${SERVICE}:80`, '')).join(), /^200 /);
  });

  test('gRPC: unary calls, statuses in trailers, and a stream in which neither side waits for the other’s end', async () => {
    const task = { do: 'call-grpc', words: ['one', 'two', 'three'] } as const;
    const result: AppResult = await client.app.ask({ ...task, target: `${SERVICE}:${GRPC}` });
    assert.ok(result.kind === 'calls', JSON.stringify(result));
    assert.deepEqual(result.seen, {
      who: client.dnsName,
      missing: '5 no such thing',
      talk: ['one!', 'two!', 'three!', 'end'],
    });
    assert.equal(await count(server, 'response_total', { direction: 'inbound', grpc_status: '5' }), 1);
    assert.equal(await count(client, 'response_total', { direction: 'outbound', grpc_status: '0' }), 2);
  });

  test('a server that ends its side first still hears its client', async () => {
    assert.equal(await client.app.talk(SERVICE, FAREWELL, 'and farewell', true), 'bye');
    const heard = await server.app.ask({ do: 'heard' });
    assert.deepEqual(heard, { kind: 'bytes', text: 'and farewell' });
  });
});
