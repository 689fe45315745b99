import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { alpn, port } from '../../api/names.ts';
import type { WorkloadIdentity } from '../../workload-identity/index.ts';
import { metricSum, startApp, type TestApp } from '../testing/mesh/http.ts';
import { startHttp2App } from '../testing/mesh/http2.ts';
import { ask2, dialMesh, http2Over, sendHeader } from '../testing/mesh/mesh-client.ts';
import { TestMesh, type TestPod } from '../testing/mesh/test-mesh.ts';
import type { TransportHeader } from '../detect/transport-header.ts';

describe("inbound from Linkerd's proxies", () => {
  let mesh: TestMesh;
  let client: TestPod;
  let server: TestPod;
  let identity: WorkloadIdentity;
  let app: TestApp;

  before(async () => {
    mesh = await TestMesh.create();
    const east = await mesh.cluster('east');
    client = mesh.pod(east, 'client');
    server = mesh.pod(east, 'server');
    identity = await mesh.identity(east, client);
    await mesh.sidecar(east, server);
    app = await startApp(mesh, server.ip, (incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { httpVersion, method, headers } = incoming;
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({ httpVersion, method, headers, body: Buffer.concat(chunks).toString() }),
        );
      });
    });
  });
  after(() => mesh.close());

  async function connect(protocol: TransportHeader['protocol'], to = app.port) {
    const socket = await dialMesh(identity, server, [alpn.linkerd]);
    await sendHeader(socket, { port: to, name: '', protocol });
    return socket;
  }

  test('HTTP/1.1 that was carried in HTTP/2: the app gets HTTP/1.1, the answer says that it was that', async () => {
    const session = http2Over(await connect('http2'));
    const ask = (path: string, more = {}) =>
      ask2(session, { ':method': 'POST', ':path': path, ':authority': 'web.shop', ...more }, 'a body');
    const answer = await ask('/x', {
      'l5d-orig-proto': 'HTTP/1.1',
      'l5d-client-id': 'evil',
      host: 'web.shop',
    });
    assert.deepEqual([answer.status, answer.headers['l5d-orig-proto']], [200, 'HTTP/1.1']);
    const seen = JSON.parse(answer.body) as { httpVersion: string; headers: object; body: string };
    assert.equal(seen.httpVersion, '1.1');
    assert.equal(seen.body, 'a body');
    assert.deepEqual(seen.headers, {
      host: 'web.shop',
      'transfer-encoding': 'chunked',
      'l5d-client-id': client.dnsName,
    });
    session.destroy();
  });

  test('HTTP/2 that is just that: the app gets HTTP/2', async () => {
    const native = await startHttp2App(mesh, server.ip, (stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.end(JSON.stringify(headers));
    });
    const session = http2Over(await connect('http2', native.port));
    const answer = await ask2(session, { ':path': '/y', ':authority': 'a', 'l5d-client-id': 'evil' });
    assert.deepEqual([answer.status, answer.headers['l5d-orig-proto']], [200, undefined]);
    const seen = JSON.parse(answer.body) as Record<string, string>;
    assert.equal(seen['l5d-client-id'], client.dnsName);
    session.destroy();
  });

  test('many streams on one connection, counted by client at their heads', async () => {
    const labels = ['direction="inbound"', `client_id="${client.spiffeId}"`];
    const before = await metricSum(server.ip, 'request_total', ...labels);
    const session = http2Over(await connect('http2'));
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        ask2(session, { ':path': `/${i}`, ':authority': 'a', 'l5d-orig-proto': 'HTTP/1.1' }),
      ),
    );
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal((await metricSum(server.ip, 'request_total', ...labels)) - before, 50);
    session.destroy();
  });

  test('a request is counted when its head has come, and its response when that has ended', async () => {
    const slow = await startApp(mesh, server.ip, () => {});
    const session = http2Over(await connect('http2', slow.port));
    const waiting = ask2(session, { ':path': '/', ':authority': 'a', 'l5d-orig-proto': 'HTTP/1.1' });
    waiting.catch(() => {});
    await once(slow.server, 'request');
    const labels = [
      `target_addr="${server.ip}:${slow.port}",target_ip="${server.ip}",target_port="${slow.port}"`,
    ];
    assert.equal(await metricSum(server.ip, 'request_total', ...labels), 1);
    assert.equal(await metricSum(server.ip, 'response_total', ...labels), 0);
    session.destroy();
    await assert.rejects(waiting);
  });

  test('opaque bytes: what follows the header goes to the app as it is, both ways and to both ends', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => {
      socket.write('hello ');
      socket.pipe(socket);
    });
    echo.listen(0, server.ip);
    await once(echo, 'listening');
    const socket = await connect(undefined, (echo.address() as AddressInfo).port);
    socket.end('GET / HTTP/1.1\r\n\r\n');
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    assert.equal(Buffer.concat(chunks).toString(), 'hello GET / HTTP/1.1\r\n\r\n');
    echo.close();
  });

  test('no door to the proxy itself, and none outside of the ports: the connection is closed', async () => {
    const doors: TransportHeader[] = [
      ...[port.outbound, port.inbound, port.admin, 4190, 0].map((one): TransportHeader => {
        return { port: one, name: '', protocol: 'http1' };
      }),
      { port: app.port, name: 'web.shop.svc.cluster.local', protocol: 'http1' },
      { port: port.admin, name: '', protocol: undefined },
      { port: port.admin, name: '', protocol: 'http2' },
    ];
    for (const header of doors) {
      const socket = await dialMesh(identity, server, [alpn.linkerd]);
      socket.on('error', () => {});
      socket.resume();
      const closed = Promise.race([once(socket, 'end'), once(socket, 'close')]);
      await sendHeader(socket, header);
      await closed;
      socket.destroy();
    }
  });

  test('CONNECT inside of HTTP is refused: no tunnel may begin in a connection that others share', async () => {
    const session = http2Over(await connect('http2'));
    const stream = session.request({ ':method': 'CONNECT', ':authority': `${server.ip}:${app.port}` });
    const [headers] = (await once(stream, 'response')) as [{ ':status': number }];
    assert.equal(headers[':status'], 400);
    session.destroy();
  });
});
