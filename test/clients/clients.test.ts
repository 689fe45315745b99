import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { port } from '../../api/names.ts';
import { metricSum, startApp } from '../../proxy/testing/mesh/http.ts';
import { startHttp2App } from '../../proxy/testing/mesh/http2.ts';
import { meshedEndpoint, TestMesh, type TestPod } from '../../proxy/testing/mesh/test-mesh.ts';

/**
 * Which clients find the mesh by the environment that the injector sets in explicit mode (docs/clients.md is this table
 * in words). Each runs as a process of its own, as an app would, and asks for a service that only exists in the mesh.
 */

let mesh: TestMesh;
let client: TestPod;

before(async () => {
  mesh = await TestMesh.create();
  const east = await mesh.cluster('east');
  client = mesh.pod(east, 'client');
  const server = mesh.pod(east, 'server');
  await mesh.sidecar(east, client);
  await mesh.sidecar(east, server);
  const app = await startApp(mesh, server.ip, (incoming, response) => {
    response.end(
      `client ${String(incoming.headers['l5d-client-id'])} asked ${String(incoming.headers.host)}`,
    );
  });
  east.controlPlane.setService('web.shop:80', [meshedEndpoint(server, app.port)]);
  const native = await startHttp2App(mesh, server.ip, (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(`client ${String(headers['l5d-client-id'])}`);
  });
  east.controlPlane.setService('new.shop:80', [meshedEndpoint(server, native.port)]);
  const grpcPort = await startGrpc(server.ip);
  east.controlPlane.setService('echo.shop:50051', [meshedEndpoint(server, grpcPort)]);
});
after(() => mesh.close());

async function startGrpc(ip: string): Promise<number> {
  const server = new Server();
  const bytes = (buffer: Buffer): Buffer => buffer;
  const say = {
    path: '/test.Echo/Say',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  server.addService(
    { say },
    {
      say: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
        done(null, Buffer.from(`${call.request.toString()} from ${call.getPath()}`)),
    },
  );
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${ip}:0`, ServerCredentials.createInsecure(), (error, number) => {
      if (error === null) resolve(number);
      else reject(error);
    });
  });
  mesh.onClose(() => server.forceShutdown());
  return bound;
}

/** What the injector sets (explicit mode). */
function appEnv(): NodeJS.ProcessEnv {
  const url = `http://${client.ip}:${port.outbound}`;
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    http_proxy: url,
    HTTP_PROXY: url,
    https_proxy: url,
    HTTPS_PROXY: url,
    grpc_proxy: url,
    NODE_USE_ENV_PROXY: '1',
    NO_PROXY: client.ip,
    no_proxy: client.ip,
  };
}

function run(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: appEnv() }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command}: ${error.message}\n${stderr}`, { cause: error }));
    });
  });
}

function file(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function absent(command: string): string | false {
  return spawnSync(command, ['--version']).error === undefined ? false : `${command} is not installed`;
}

function withoutHttp2(): string | false {
  const { stdout } = spawnSync('curl', ['--version'], { encoding: 'utf8' });
  return absent('curl') || (stdout.includes('HTTP2') ? false : 'this curl knows no HTTP/2');
}

/** Compiling Go's standard library takes half a minute where nothing is cached. */
const withoutGo =
  process.env['ISTHMUS_TEST_GO'] === undefined ? 'set ISTHMUS_TEST_GO=1 to run it' : absent('go');

const URL_OF_WEB = 'http://web.shop/';

const CLIENTS: { name: string; command: string; args: () => string[]; skip: string | false }[] = [
  { name: 'curl', command: 'curl', args: () => ['-sS', URL_OF_WEB], skip: absent('curl') },
  {
    name: 'curl, through a CONNECT tunnel',
    command: 'curl',
    args: () => ['-sS', '--proxytunnel', URL_OF_WEB],
    skip: absent('curl'),
  },
  { name: 'wget', command: 'wget', args: () => ['-q', '-O', '-', URL_OF_WEB], skip: absent('wget') },
  {
    name: 'fetch of Node',
    command: process.execPath,
    args: () => [file('fetch-client.ts'), URL_OF_WEB],
    skip: false,
  },
  {
    name: 'node:http',
    command: process.execPath,
    args: () => [file('http-client.ts'), URL_OF_WEB],
    skip: false,
  },
  {
    name: 'net/http of Go',
    command: 'go',
    args: () => ['run', file('client.go'), URL_OF_WEB],
    skip: withoutGo,
  },
];

for (const { name, command, args, skip } of CLIENTS) {
  test(`${name} reaches a service of the mesh by its environment alone`, { skip }, async () => {
    assert.equal(await run(command, args()), `client ${client.dnsName} asked web.shop`);
  });
}

test('curl by HTTP/2 with prior knowledge, through a tunnel', { skip: withoutHttp2() }, async () => {
  const args = [
    '-sS',
    '--proxytunnel',
    '--http2-prior-knowledge',
    '-w',
    ' %{http_version}',
    'http://new.shop/',
  ];
  assert.equal(await run('curl', args), `client ${client.dnsName} 2`);
});

test('grpc-js by grpc_proxy: CONNECT, and its HTTP/2 inside request by request', async () => {
  const answer = await run(process.execPath, [file('grpc-client.ts'), 'echo.shop:50051']);
  assert.equal(answer, 'hello from /test.Echo/Say');
  const labels = ['direction="outbound"', 'authority="echo.shop:50051"', 'classification="success"'];
  assert.equal(await metricSum(client.ip, 'response_total', ...labels), 1);
});
