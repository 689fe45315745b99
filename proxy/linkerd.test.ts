import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { alpn, port } from '../api/names.ts';
import type { FakeEndpoint } from './testing/mesh/fake-control-plane.ts';
import { ask, causeOf, startApp } from './testing/mesh/http.ts';
import { startLinkerdPeer, type LinkerdConnection } from './testing/mesh/linkerd-peer.ts';
import { clientMesh } from './testing/mesh/client-mesh.ts';
import { meshedEndpoint, type TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';

const PREFACE = 'transport.l5d.io/v1\r\n\r\n';
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
/** Tags of the fields of Linkerd's header: port, name, session protocol, and HTTP/1 inside of that. */
const [PORT, NAME, SESSION, HTTP1] = [0x08, 0x12, 0x1a, 0x0a];

/** A transport header written by hand, byte by byte. */
function header(...body: number[]): Buffer {
  return Buffer.concat([Buffer.from(PREFACE), Buffer.from([0, 0, 0, body.length, ...body])]);
}

describe("outbound to Linkerd's proxies", () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;

  before(async () => {
    ({ mesh, east, client } = await clientMesh('fast'));
  });
  after(() => mesh.close());

  function endpoint(pod: TestPod, appPort: number, more: Partial<FakeEndpoint> = {}): FakeEndpoint {
    return { address: pod.ip, port: appPort, dnsName: pod.dnsName, ...more };
  }

  /** Answers every request head that comes. */
  function answering(connection: LinkerdConnection): void {
    connection.socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('\r\n\r\n') && !chunk.equals(Buffer.from(PREFACE)))
        connection.socket.write(ANSWER.repeat(chunk.toString('latin1').split('HTTP/1.1\r\n').length - 1));
    });
  }

  test('HTTP/1.1 behind a header that names the port, by an identity that is a DNS name', async () => {
    const pod = mesh.pod(east, 'linkerd');
    const peer = await startLinkerdPeer(mesh, pod, alpn.linkerd, answering);
    east.controlPlane.setService('one.shop:80', [endpoint(pod, 80, { inboundPort: peer.port })]);
    const answer = await ask(client.ip, 'http://one.shop/path?q', { headers: { 'x-a': 'b' } });
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'ok']);
    const [connection] = peer.connections;
    assert.ok(connection !== undefined);
    assert.deepEqual([...connection.offered], [alpn.isthmus, alpn.linkerd]);
    assert.equal(connection.sni, pod.dnsName);
    const request = 'GET /path?q HTTP/1.1\r\nhost: one.shop\r\nx-a: b\r\n\r\n';
    assert.deepEqual(
      connection.received.toString('latin1'),
      Buffer.concat([header(PORT, 80, SESSION, 2, HTTP1, 0), Buffer.from(request)]).toString('latin1'),
    );
    assert.equal((await ask(client.ip, 'http://one.shop/again')).status, 200);
    // The first connection only told which protocol it is; the second one carries every request.
    const used = peer.connections.filter(({ received }) => received.length > 0);
    assert.equal(used.length, 1);
    assert.match(connection.received.toString('latin1'), /GET \/again HTTP\/1.1\r\nhost: one.shop\r\n/);
  });

  test("through Linkerd's gateway: the header names the service, and Host is that name", async () => {
    const pod = mesh.pod(east, 'linkerd-gateway', 'linkerd-multicluster');
    const peer = await startLinkerdPeer(mesh, pod, alpn.linkerd, answering);
    const override = 'web.shop.svc.cluster.local:8080';
    const at = endpoint(pod, peer.port, { inboundPort: peer.port, authorityOverride: override });
    east.controlPlane.setService('web-west.shop:80', [at]);
    assert.equal((await ask(client.ip, 'http://web-west.shop/')).status, 200);
    const name = Buffer.from('web.shop.svc.cluster.local');
    const expected = header(PORT, 0x90, 0x3f, NAME, name.length, ...name, SESSION, 2, HTTP1, 0);
    const [connection] = peer.connections.filter(({ received }) => received.length > 0);
    assert.equal(
      connection?.received.toString('latin1'),
      `${expected.toString('latin1')}GET / HTTP/1.1\r\nhost: ${override}\r\n\r\n`,
    );
  });

  test('each (name, port) has connections of its own', async () => {
    const pod = mesh.pod(east, 'linkerd-ports');
    const peer = await startLinkerdPeer(mesh, pod, alpn.linkerd, answering);
    for (const number of [80, 81]) {
      east.controlPlane.setService(`ports.shop:${number}`, [
        endpoint(pod, number, { inboundPort: peer.port }),
      ]);
      assert.equal((await ask(client.ip, `http://ports.shop:${number}/`)).status, 200);
    }
    const headers = peer.connections
      .filter(({ received }) => received.length > 0)
      .map(({ received }) => received.subarray(0, PREFACE.length + 10).toString('latin1'));
    assert.deepEqual(
      headers,
      [80, 81].map((number) => header(PORT, number, SESSION, 2, HTTP1, 0).toString('latin1')),
    );
  });

  test('opaque bytes: a header without a session protocol, then what the app says, both ways', async () => {
    const pod = mesh.pod(east, 'linkerd-opaque');
    const peer = await startLinkerdPeer(mesh, pod, alpn.linkerd, ({ socket }) => {
      socket.once('data', () => socket.write('220 the server speaks first\r\n'));
    });
    east.controlPlane.setService('smtp.shop:25', [endpoint(pod, 25, { inboundPort: peer.port })], {
      opaque: true,
    });
    const socket = await tunnel(client, 'smtp.shop:25');
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    assert.equal(greeting.toString(), '220 the server speaks first\r\n');
    socket.write('EHLO x\r\n');
    const expected = Buffer.concat([header(PORT, 25), Buffer.from('EHLO x\r\n')]);
    const [connection] = peer.connections.filter(({ received }) => received.length > 0);
    assert.ok(connection !== undefined);
    await connection.untilReceived(expected.length);
    assert.deepEqual(connection.received, expected);
    socket.end();
    await once(connection.socket, 'end');
    connection.socket.end('bye');
    const [last] = (await once(socket, 'data')) as [Buffer];
    assert.equal(last.toString(), 'bye');
  });

  test("an app's own port without ALPN: HTTP/1.1 inside of TLS, and no header", async () => {
    const pod = mesh.pod(east, 'linkerd-redirected');
    const peer = await startLinkerdPeer(mesh, pod, undefined, answering);
    east.controlPlane.setService('bare.shop:80', [endpoint(pod, peer.port)]);
    assert.equal((await ask(client.ip, 'http://bare.shop/')).status, 200);
    const [connection] = peer.connections.filter(({ received }) => received.length > 0);
    assert.equal(connection?.received.toString('latin1'), 'GET / HTTP/1.1\r\nhost: bare.shop\r\n\r\n');
  });

  test('nothing is sent to a peer that is somebody else, or that takes no header on its proxy port', async () => {
    const pod = mesh.pod(east, 'somebody-else');
    const peer = await startLinkerdPeer(mesh, pod, alpn.linkerd, answering);
    const other = mesh.pod(east, 'linkerd').dnsName;
    const lie = endpoint(pod, 80, { inboundPort: peer.port, dnsName: other });
    east.controlPlane.setService('lie.shop:80', [lie]);
    const answer = await ask(client.ip, 'http://lie.shop/');
    assert.deepEqual([answer.status, causeOf(answer)], [502, 'peer-refused']);
    const deaf = await startLinkerdPeer(mesh, pod, undefined, answering);
    east.controlPlane.setService('deaf.shop:80', [endpoint(pod, 80, { inboundPort: deaf.port })]);
    const refused = await ask(client.ip, 'http://deaf.shop/');
    assert.deepEqual([refused.status, causeOf(refused)], [502, 'peer-refused']);
    for (const { received } of [...peer.connections, ...deaf.connections]) assert.equal(received.length, 0);
  });

  test('our own sidecar, first as one that speaks only Linkerd’s way, then as itself: nothing is lost', async () => {
    const server = mesh.pod(east, 'server');
    const app = await startApp(mesh, server.ip, (incoming, response) =>
      response.end(JSON.stringify(incoming.headers)),
    );
    east.controlPlane.setService('own.shop:80', [meshedEndpoint(server, app.port)]);
    const first = await mesh.sidecar(east, server, {}, { alpn: [alpn.linkerd] });
    for (let i = 0; i < 3; i++) {
      const answer = await ask(client.ip, 'http://own.shop/', {
        method: 'POST',
        body: 'some bytes',
        headers: { 'l5d-client-id': 'evil' },
      });
      assert.equal(answer.status, 200);
      const seen = JSON.parse(answer.body.toString()) as Record<string, string>;
      assert.deepEqual([seen['l5d-client-id'], seen['host']], [client.dnsName, 'own.shop']);
    }
    await first.drain();
    await mesh.sidecar(east, server);
    assert.equal((await ask(client.ip, 'http://own.shop/')).status, 200);
  });
});

async function tunnel(client: TestPod, authority: string): Promise<Socket> {
  const socket = connect({ host: client.ip, port: port.outbound, allowHalfOpen: true });
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 200 /);
  return socket;
}
