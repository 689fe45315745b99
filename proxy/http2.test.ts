import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants, type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Flag, FrameType } from './http2/frames.ts';
import type { Proxy } from './proxy.ts';
import { frame, wordFrame } from './testing/http2-frames.ts';
import { serveFrames } from './testing/mesh/frame-server.ts';
import { metricSum, startApp } from './testing/mesh/http.ts';
import { http2Through, startHttp2App, type Http2App } from './testing/mesh/http2.ts';
import { ask2 } from './testing/mesh/mesh-client.ts';
import { meshedEndpoint, TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';

const AUTHORITY = 'echo.shop:80';
const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

describe('HTTP/2 of apps', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;
  let server: TestPod;
  let proxy: Proxy;
  let app: Http2App;
  /** Streams of paths that the app leaves to the test. */
  const left = new Map<string, (stream: ServerHttp2Stream) => void>();

  before(async () => {
    mesh = await TestMesh.create();
    east = await mesh.cluster('east');
    client = mesh.pod(east, 'client');
    server = mesh.pod(east, 'server');
    ({ proxy } = await mesh.sidecar(east, client, mesh.fast(client)));
    await mesh.sidecar(east, server);
    app = await startHttp2App(mesh, server.ip, (stream, headers) => {
      const path = headers[':path'] ?? '';
      const leftTo = left.get(path);
      if (leftTo !== undefined) {
        left.delete(path);
        return leftTo(stream);
      }
      const seen = JSON.stringify(headers);
      stream.respond({ ':status': 200, 'x-seen': seen }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'all of it' }));
      stream.pipe(stream);
    });
    east.controlPlane.setService(AUTHORITY, [meshedEndpoint(server, app.port)]);
  });
  after(() => mesh.close());

  /** The app's end of the stream of the next request for a path. */
  function nextStream(path: string): Promise<ServerHttp2Stream> {
    return new Promise((resolve) => left.set(path, resolve));
  }

  /** An app that answers the head of a request by frames of the test's own. */
  async function startRawApp(answer: (id: number) => Buffer[]): Promise<number> {
    const app = createServer((socket) => {
      mesh.onClose(() => void socket.destroy());
      serveFrames(socket, 0, answer);
    });
    app.listen(0, server.ip);
    await once(app, 'listening');
    mesh.onClose(() => void app.close());
    return (app.address() as AddressInfo).port;
  }

  function open(): Promise<ClientHttp2Session> {
    return http2Through(mesh, client.ip, AUTHORITY);
  }

  test('extended CONNECT is not offered', async () => {
    const session = await open();
    // Its SETTINGS have come before any answer.
    await ask2(session, { ':path': '/', ':authority': AUTHORITY });
    assert.equal(session.remoteSettings.enableConnectProtocol, false);
    session.close();
  });

  for (const way of ['inside a CONNECT', 'by :authority'] as const) {
    test(`${way}: the app gets HTTP/2, and is told who asks`, async () => {
      const session = way === 'by :authority' ? await http2Through(mesh, client.ip) : await open();
      const answer = await ask2(
        session,
        {
          ':method': 'POST',
          ':path': '/x?y',
          ':authority': AUTHORITY,
          te: 'trailers',
          'x-a': 'b',
          'l5d-client-id': 'evil',
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          b3: '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1',
        },
        'a body',
      );
      assert.deepEqual([answer.status, answer.body], [200, 'a body']);
      const seen = JSON.parse(String(answer.headers['x-seen'])) as Record<string, string>;
      assert.deepEqual(seen, {
        ':method': 'POST',
        ':scheme': 'http',
        ':path': '/x?y',
        ':authority': AUTHORITY,
        te: 'trailers',
        'x-a': 'b',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        b3: '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1',
        'l5d-client-id': client.dnsName,
      });
    });
  }

  test('bodies of all sizes both ways, with trailers', async () => {
    const session = await open();
    for (const size of [0, 1, 16_384, 65_536, 3_000_000]) {
      const body = Buffer.alloc(size, 'isthmus ');
      const stream = session.request({ ':method': 'POST', ':path': '/' });
      const trailers = once(stream, 'trailers') as Promise<[Record<string, string>]>;
      stream.end(body);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      assert.ok(Buffer.concat(chunks).equals(body), String(size));
      assert.equal((await trailers)[0]['x-sum'], 'all of it');
    }
  });

  test('many streams at once share few mTLS connections, and few to the app', async () => {
    const session = await open();
    const answers = await Promise.all(
      Array.from({ length: 150 }, (_, i) => ask2(session, { ':method': 'POST', ':path': '/' }, `${i}`)),
    );
    assert.deepEqual(
      answers.map(({ body }) => body),
      Array.from({ length: 150 }, (_, i) => String(i)),
    );
    assert.ok(proxy.peerConnections <= 4, String(proxy.peerConnections));
    assert.ok(app.sessions.size <= 4, String(app.sessions.size));
  });

  test('a client that cancels: the app hears of it', async () => {
    const session = await open();
    const atApp = nextStream('/cancel');
    const stream = session.request({ ':method': 'POST', ':path': '/cancel' });
    stream.on('error', () => {});
    const served = await atApp;
    stream.close(NGHTTP2_CANCEL);
    await once(served, 'close');
    assert.equal(served.rstCode, NGHTTP2_CANCEL);
  });

  test('an app that resets a stream under way: the client hears the same code', async () => {
    const raw = await startRawApp((id) => [
      // Index 8 of the static table: status 200.
      frame(FrameType.headers, Flag.endHeaders, id, Buffer.from([0x88])),
      wordFrame(FrameType.reset, id, NGHTTP2_ENHANCE_YOUR_CALM),
    ]);
    east.controlPlane.setService('raw.shop:80', [meshedEndpoint(server, raw)]);
    const stream = (await http2Through(mesh, client.ip, 'raw.shop:80')).request({ ':path': '/' });
    stream.on('error', () => {});
    stream.resume();
    await new Promise((resolve) => stream.once('close', resolve));
    assert.equal(stream.rstCode, NGHTTP2_ENHANCE_YOUR_CALM);
  });

  test('an app that resets a stream before its answer: the client hears the same code', async () => {
    const raw = await startRawApp((id) => [wordFrame(FrameType.reset, id, NGHTTP2_CANCEL)]);
    east.controlPlane.setService('late.shop:80', [meshedEndpoint(server, raw)]);
    const stream = (await http2Through(mesh, client.ip, 'late.shop:80')).request({
      ':method': 'POST',
      ':path': '/shop.Cart/Add',
      'content-type': 'application/grpc',
    });
    const answers: unknown[] = [];
    stream.on('response', (headers) => answers.push(headers));
    stream.on('error', () => {});
    await new Promise((resolve) => stream.once('close', resolve));
    assert.deepEqual(answers, []);
    assert.equal(stream.rstCode, NGHTTP2_CANCEL);
    const labels = ['authority="late.shop:80"', 'status_code="502"', 'error="upstream-reset"'];
    assert.equal(await metricSum(client.ip, 'response_total', ...labels, 'classification="failure"'), 1);
  });

  test('a client that does not read stops the app, and nobody else', async () => {
    const session = await open();
    const atApp = nextStream('/flood');
    const stream = session.request({ ':path': '/flood' });
    const served = await atApp;
    served.respond({ ':status': 200 });
    const chunk = Buffer.alloc(65_536);
    let written = 0;
    while (served.writableLength < 1_000_000) {
      served.write(chunk);
      written += chunk.length;
      await new Promise(setImmediate);
    }
    assert.ok(written < 8_000_000, `${written} bytes are on their way`);
    assert.equal((await ask2(session, { ':path': '/' })).status, 200);
    served.end();
    let received = 0;
    for await (const part of stream) received += (part as Buffer).length;
    assert.equal(received, written);
  });

  test('an app that says GOAWAY loses nothing: what is under way ends, what comes goes elsewhere', async () => {
    const session = await open();
    const atApp = nextStream('/slow');
    const slow = ask2(session, { ':path': '/slow' });
    const served = await atApp;
    const old = served.session;
    old?.goaway();
    for (let i = 0; i < 5; i++) assert.equal((await ask2(session, { ':path': '/' })).status, 200);
    served.respond({ ':status': 200 });
    served.end('slowly');
    assert.equal((await slow).body, 'slowly');
  });

  test('an app that breaks off: 502 before its answer has begun, a reset after', async () => {
    const session = await open();
    const first = nextStream('/die');
    const early = ask2(session, { ':method': 'POST', ':path': '/die' });
    (await first).session?.destroy();
    const answer = await early;
    assert.deepEqual([answer.status, answer.headers['l5d-proxy-error']], [502, 'upstream-reset']);
    const second = nextStream('/die');
    const late = session.request({ ':path': '/die' });
    late.on('error', () => {});
    late.resume();
    const responded = once(late, 'response');
    const closed = new Promise((resolve) => late.once('close', resolve));
    const served = await second;
    served.respond({ ':status': 200 });
    await responded;
    served.session?.destroy();
    await closed;
    assert.notEqual(late.rstCode, 0);
  });

  test('a server outside of the mesh gets HTTP/2 as well', async () => {
    const session = await http2Through(mesh, client.ip, `${server.ip}:${app.port}`);
    const answer = await ask2(session, { ':path': '/' });
    assert.equal(answer.status, 200);
    assert.ok(!String(answer.headers['x-seen']).includes('l5d-client-id'));
  });

  test('an app that speaks HTTP/1.1 alone: 502, and what speaks HTTP/1.1 to it goes on', async () => {
    const old = await startApp(mesh, server.ip, (_incoming, response) => response.end('old'));
    east.controlPlane.setService('old.shop:80', [meshedEndpoint(server, old.port)]);
    const session = await http2Through(mesh, client.ip, 'old.shop:80');
    assert.equal((await ask2(session, { ':path': '/' })).status, 502);
  });

  test('CONNECT inside of HTTP/2 is refused', async () => {
    const session = await open();
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'web.shop:80' });
    const [headers] = (await once(stream, 'response')) as [{ ':status': number }];
    assert.equal(headers[':status'], 400);
  });

  test('a sidecar that drains says GOAWAY and lets streams end', async () => {
    const leaving = mesh.pod(east, 'leaving');
    const sidecar = await mesh.sidecar(east, leaving);
    const session = await http2Through(mesh, leaving.ip, AUTHORITY);
    const atApp = nextStream('/last');
    const last = ask2(session, { ':path': '/last' });
    const served = await atApp;
    const told = once(session, 'goaway');
    const drained = sidecar.drain();
    await told;
    served.respond({ ':status': 200 });
    served.end('whole');
    assert.equal((await last).body, 'whole');
    await drained;
  });

  test('what was found is counted', async () => {
    const labels = ['direction="outbound"', 'protocol="http2"'];
    assert.ok((await metricSum(client.ip, 'protocol_detections_total', ...labels)) >= 10);
  });
});
