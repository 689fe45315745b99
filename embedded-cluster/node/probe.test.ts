import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { it } from 'node:test';
import type { TestContext } from 'node:test';
import type { Probe } from '../../api/kubernetes-types.ts';
import { runProbe } from './probe.ts';
import type { ProbeResult } from './probe.ts';

async function listening(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

function probed(probe: Probe, port = 0): Promise<ProbeResult> {
  const container = { name: 'c', ports: [{ name: 'web', containerPort: port }] };
  return runProbe(probe, {
    container,
    podIp: '127.0.0.1',
    exec: async (command) => ({ exitCode: command[0] === 'true' ? 0 : 1, output: 'it said no' }),
  });
}

await it('takes 200 to 399 of an HTTP server for healthy, by number or name of the port', async (t) => {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(`${request.url ?? ''} ${request.headers['x-probe'] as string}`);
    response.writeHead(Number(request.url?.slice(1))).end();
  });
  const port = await listening(t, server);
  const get = (path: string): Promise<ProbeResult> =>
    probed({ httpGet: { path, port: 'web', httpHeaders: [{ name: 'X-Probe', value: 'yes' }] } }, port);
  assert.deepEqual(await get('/204'), { healthy: true });
  assert.deepEqual(await get('/399'), { healthy: true });
  assert.deepEqual(await get('/503'), {
    healthy: false,
    message: 'HTTP probe failed with statuscode: 503',
  });
  assert.deepEqual(asked, ['/204 yes', '/399 yes', '/503 yes']);
});

await it('says why a connection fails, and which port has no such name', async (t) => {
  const port = await listening(t, http.createServer());
  assert.deepEqual(await probed({ tcpSocket: { port } }), { healthy: true });
  const closed = await probed({ tcpSocket: { port: 1 } });
  assert.match(closed.healthy ? '' : closed.message, /^dial tcp 127\.0\.0\.1:1: .*ECONNREFUSED/);
  const unknown = await probed({ tcpSocket: { port: 'admin' } });
  assert.match(unknown.healthy ? '' : unknown.message, /no port named "admin"/);
});

await it('gives up after its time', async (t) => {
  const port = await listening(
    t,
    http.createServer(() => undefined),
  );
  const late = await probed({ httpGet: { port }, timeoutSeconds: 0.05 });
  assert.equal(late.healthy, false);
});

await it('asks a gRPC server for its health', async (t) => {
  const services: string[] = [];
  const server = http2.createServer();
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const message = Buffer.concat(chunks).subarray(5);
      services.push(`${headers[':path'] as string} ${message.subarray(2).toString()}`);
      const status = message.subarray(2).toString() === 'sick' ? 2 : 1;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, status]));
    });
  });
  const port = await listening(t, server);
  assert.deepEqual(await probed({ grpc: { port } }), { healthy: true });
  assert.deepEqual(await probed({ grpc: { port, service: 'shop' } }), { healthy: true });
  assert.equal((await probed({ grpc: { port, service: 'sick' } })).healthy, false);
  assert.deepEqual(services, [
    '/grpc.health.v1.Health/Check ',
    '/grpc.health.v1.Health/Check shop',
    '/grpc.health.v1.Health/Check sick',
  ]);
});

await it('judges a command by its exit code', async () => {
  assert.deepEqual(await probed({ exec: { command: ['true'] } }), { healthy: true });
  assert.deepEqual(await probed({ exec: { command: ['false'] } }), {
    healthy: false,
    message: 'it said no',
  });
});
