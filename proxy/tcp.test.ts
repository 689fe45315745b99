import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { port } from '../api/names.ts';
import { makeCertificates } from './testing/certificates.ts';
import { identitiesPolicy } from './testing/mesh/fake-control-plane.ts';
import { metricSum, startApp } from './testing/mesh/http.ts';
import { clientMesh } from './testing/mesh/client-mesh.ts';
import { meshedEndpoint, type TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';

/** Opens a tunnel through a sidecar. Resolves with the socket after the proxy's 200, or with the status line of a refusal. */
async function tunnel(ip: string, authority: string): Promise<{ status: string; socket: Socket }> {
  const socket = connect({ host: ip, port: port.outbound, allowHalfOpen: true });
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n\r\n`);
  const head = await readUntil(socket, '\r\n\r\n');
  return { status: head.split('\r\n')[0] ?? '', socket };
}

/** Reads up to and including `end`; what came behind it stays in the socket. */
async function readUntil(socket: Socket, end: string): Promise<string> {
  let text = '';
  while (!text.includes(end)) {
    const byte = socket.read(1) as Buffer | null;
    if (byte !== null) text += byte.toString('latin1');
    else await once(socket, 'readable');
  }
  return text;
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe('opaque TCP through a pair of sidecars', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;
  let server: TestPod;

  before(async () => {
    ({ mesh, east, client } = await clientMesh());
    server = mesh.pod(east, 'server');
    await mesh.sidecar(east, server);
  });
  after(() => mesh.close());

  async function tcpApp(onConnection: (socket: Socket) => void): Promise<number> {
    const sockets = new Set<Socket>();
    const app = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      onConnection(socket);
    });
    app.listen(0, server.ip);
    await once(app, 'listening');
    mesh.onClose(() => {
      for (const socket of sockets) socket.destroy();
      app.close();
    });
    return (app.address() as AddressInfo).port;
  }

  test('bytes go both ways, and each side may end first', async () => {
    const number = await tcpApp((socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      // Answers only after the client has ended: that works by half-close alone.
      socket.on('end', () => socket.end(`you said ${Buffer.concat(chunks).toString()}`));
    });
    east.controlPlane.setService('tcp.shop:9000', [meshedEndpoint(server, number)]);
    const { status, socket } = await tunnel(client.ip, 'tcp.shop:9000');
    assert.match(status, /^HTTP\/1\.1 200/);
    socket.write('\x01\x02binary');
    socket.end(' and more');
    assert.equal((await readAll(socket)).toString(), 'you said \x01\x02binary and more');
    assert.ok((await metricSum(server.ip, 'inbound_tcp_authz_allow_total')) >= 1);
  });

  test('a server that speaks first: at once on an opaque port', async () => {
    const number = await tcpApp((socket) => socket.end('220 welcome'));
    east.controlPlane.setService('smtp.shop:25', [meshedEndpoint(server, number)], { opaque: true });
    const { socket } = await tunnel(client.ip, 'smtp.shop:25');
    assert.equal((await readAll(socket)).toString(), '220 welcome');
    socket.destroy();
  });

  test('HTTP to an opaque Service is not looked at, also when it comes before word of the Service', async () => {
    const number = await tcpApp((socket) => socket.once('data', (chunk: Buffer) => socket.end(chunk)));
    east.controlPlane.setService('raw.shop:80', [meshedEndpoint(server, number)], { opaque: true });
    const labels = ['direction="outbound"', 'reason="marked"'];
    const before = await metricSum(client.ip, 'protocol_detections_total', ...labels);
    const socket = connect({ host: client.ip, port: port.outbound });
    const inside = 'GET / HTTP/1.1\r\nhost: raw.shop\r\nl5d-client-id: as it is\r\n\r\n';
    socket.write(`CONNECT raw.shop:80 HTTP/1.1\r\nhost: raw.shop:80\r\n\r\n${inside}`);
    await readUntil(socket, '\r\n\r\n');
    assert.equal((await readAll(socket)).toString(), inside);
    assert.equal((await metricSum(client.ip, 'protocol_detections_total', ...labels)) - before, 1);
  });

  test('a server that speaks first on a port that is marked, without a Service: at once', async () => {
    const number = await tcpApp((socket) => socket.end('5.7.0 ready'));
    const pod = mesh.pod(east, 'database-client');
    await mesh.sidecar(east, pod, { opaquePorts: new Set([number]) });
    const { socket } = await tunnel(pod.ip, `${server.ip}:${number}`);
    assert.equal((await readAll(socket)).toString(), '5.7.0 ready');
    const labels = ['direction="outbound"', 'protocol="opaque"', 'reason="marked"'];
    assert.equal(await metricSum(pod.ip, 'protocol_detections_total', ...labels), 1);
    socket.destroy();
  });

  test('a server that speaks first and is not marked: when the time of detection is over, which is counted', async () => {
    const number = await tcpApp((socket) => socket.end('late'));
    const pod = mesh.pod(east, 'waiting-client');
    await mesh.sidecar(east, pod, { times: { ...mesh.fast(pod).times, outboundDetectMs: 50 } });
    const { socket } = await tunnel(pod.ip, `${server.ip}:${number}`);
    assert.equal((await readAll(socket)).toString(), 'late');
    const labels = ['direction="outbound"', 'protocol="opaque"', 'reason="timeout"'];
    assert.equal(await metricSum(pod.ip, 'protocol_detections_total', ...labels), 1);
    socket.destroy();
  });

  test("TLS of the app's own passes as it is: inside a CONNECT, or to the server that it names", async () => {
    const certificate = await makeCertificates('secure.shop');
    const secure = createTlsServer(certificate, (socket) => {
      socket.on('error', () => {});
      socket.once('data', (chunk: Buffer) => socket.end(`${chunk.toString()} by ${socket.getProtocol()}`));
    });
    secure.listen(0, server.ip);
    await once(secure, 'listening');
    mesh.onClose(() => void secure.close());
    const { port: number } = secure.address() as AddressInfo;
    east.controlPlane.setService('secure.shop:443', [meshedEndpoint(server, number)]);
    const { socket: tunnelled } = await tunnel(client.ip, 'secure.shop:443');
    const direct = connect({ host: client.ip, port: port.outbound });
    for (const socket of [tunnelled, direct]) {
      const tls = connectTls({ socket, servername: 'secure.shop', ca: certificate.ca });
      tls.write('hello');
      assert.equal((await readAll(tls)).toString(), 'hello by TLSv1.3');
    }
    assert.equal(await metricSum(client.ip, 'protocol_detections_total', 'protocol="tls"'), 2);
  });

  test('a megabyte each way at the same time, not looked at', async () => {
    const number = await tcpApp((socket) => socket.pipe(socket));
    east.controlPlane.setService('echo.shop:9001', [meshedEndpoint(server, number)], { opaque: true });
    const { socket } = await tunnel(client.ip, 'echo.shop:9001');
    const sent = Buffer.alloc(1_048_576, 'GET / HTTP/1.1\r\n');
    socket.end(sent);
    assert.ok((await readAll(socket)).equals(sent));
  });

  test('HTTP/1 inside of a tunnel is seen, and goes to the target of the CONNECT whatever its Host says', async () => {
    const app = await startApp(mesh, server.ip, (incoming, response) => {
      response.end(`${incoming.headers.host} ${String(incoming.headers['l5d-client-id'])}`);
    });
    east.controlPlane.setService('web.shop:80', [meshedEndpoint(server, app.port)]);
    const { socket } = await tunnel(client.ip, 'web.shop:80');
    socket.write('GET /x HTTP/1.1\r\nhost: other.shop\r\nconnection: close\r\n\r\n');
    const answer = (await readAll(socket)).toString();
    assert.match(answer, /^HTTP\/1\.1 200/);
    assert.match(answer, new RegExp(`other\\.shop ${client.dnsName}$`));
    assert.ok((await metricSum(client.ip, 'response_total', 'authority="web.shop:80"')) >= 1);
  });

  test('a tunnel to a plain address outside of the mesh', async () => {
    const number = await tcpApp((socket) => socket.end('plain'));
    const { socket } = await tunnel(client.ip, `${server.ip}:${number}`);
    socket.write('\x00\x01\x02');
    assert.equal((await readAll(socket)).toString(), 'plain');
    socket.destroy();
  });

  test('CONNECT to a proxy port, and without a port, is refused', async () => {
    const own = await tunnel(client.ip, `${server.ip}:4143`);
    assert.match(own.status, /^HTTP\/1\.1 403/);
    own.socket.destroy();
    const none = await tunnel(client.ip, 'web.shop');
    assert.match(none.status, /^HTTP\/1\.1 400/);
    none.socket.destroy();
  });

  test('a denied client and one whose app is absent get a reset: no orderly end that passes for an answer', async () => {
    const number = await tcpApp((socket) => socket.end('secret'));
    east.controlPlane.setPolicy(number, identitiesPolicy(['someone.else']));
    east.controlPlane.setService('closed.shop:9', [meshedEndpoint(server, number)], { opaque: true });
    east.controlPlane.setService('absent.shop:9', [meshedEndpoint(server, 1)], { opaque: true });
    for (const name of ['closed.shop:9', 'absent.shop:9']) {
      const { socket } = await tunnel(client.ip, name);
      await assert.rejects(readAll(socket), { code: 'ECONNRESET' });
    }
    assert.ok((await metricSum(server.ip, 'inbound_tcp_authz_deny_total', 'srv_name="test"')) >= 1);
  });
});
