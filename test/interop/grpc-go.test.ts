import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { startGateway } from '../../gateway/index.ts';
import {
  meshedEndpoint,
  mirrorEndpoint,
  TestMesh,
  type TestCluster,
  type TestPod,
} from '../../proxy/testing/mesh/test-mesh.ts';
import { openDoor, type Door } from './door.ts';
import { goTool, type Tool } from './go-tool.ts';

const run = promisify(execFile);

const GRPC = 'google.golang.org/grpc/interop';
const VERSION = 'v1.68.0';
/** The interoperability tests that every implementation of gRPC is held to; those with accounts and proxies of one vendor are left out. */
const CASES = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
];
const EXPORTED = 'grpc.shop.svc.cluster.local:80';

let mesh: TestMesh;
let west: TestCluster;
let server: TestPod;
let appPort = 0;
const tools: { server: Tool; client: Tool } = { server: { missing: '' }, client: { missing: '' } };

before(async () => {
  tools.server = await goTool(`${GRPC}/server@${VERSION}`);
  tools.client = await goTool(`${GRPC}/client@${VERSION}`);
  mesh = await TestMesh.create();
  west = await mesh.cluster('west');
  server = mesh.pod(west, 'server');
  await mesh.sidecar(west, server);
  if ('path' in tools.server) appPort = await startServer(tools.server.path);
});
after(() => mesh.close());

/** @returns the port on which it listens, at every address */
async function startServer(path: string): Promise<number> {
  const child = spawn(path, ['--use_tls=false', '--port=0'], {
    env: { ...process.env, GRPC_GO_LOG_SEVERITY_LEVEL: 'info' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  mesh.onClose(() => void child.kill());
  for await (const line of createInterface(child.stderr)) {
    const number = /listening on .*:(\d+)$/.exec(line)?.[1];
    if (number !== undefined) return Number(number);
  }
  throw new Error('the server ended before it listened');
}

/** How the client comes to the server. */
const WAYS: Readonly<Record<string, () => Promise<Door>>> = {
  async 'two sidecars'() {
    const pod = mesh.pod(west, 'client');
    await mesh.sidecar(west, pod);
    const door = await openDoor(mesh, pod);
    west.controlPlane.setService(door.authority, [meshedEndpoint(server, appPort)]);
    return door;
  },
  async 'a gateway'() {
    const east = await mesh.cluster('east');
    const pod = mesh.pod(east, 'client');
    await mesh.sidecar(east, pod);
    const at = mesh.gatewayPod(west);
    west.controlPlane.setExports([{ namespace: 'shop', name: 'grpc', ports: [80] }]);
    west.controlPlane.setService(EXPORTED, [meshedEndpoint(server, appPort)]);
    const gateway = await startGateway(mesh.meshConfig(at), await mesh.options(west, at));
    mesh.onClose(() => gateway.drain());
    const door = await openDoor(mesh, pod);
    east.controlPlane.setService(door.authority, [mirrorEndpoint(at, EXPORTED)]);
    return door;
  },
};

for (const [name, way] of Object.entries(WAYS)) {
  describe(`gRPC's interoperability tests, grpc-go through ${name}`, () => {
    let door: Door;
    before(async () => {
      door = await way();
    });
    for (const one of CASES) {
      test(one, async (t) => {
        const { client } = tools;
        if ('missing' in client) return t.skip(client.missing);
        if ('missing' in tools.server) return t.skip(tools.server.missing);
        const where = [`--server_host=${door.host}`, `--server_port=${door.port}`];
        // It fails where anything is not as it should be, and says what.
        const { stderr } = await run(client.path, ['--use_tls=false', ...where, `--test_case=${one}`]);
        assert.doesNotMatch(stderr, /FATAL/);
        return undefined;
      });
    }
  });
}
