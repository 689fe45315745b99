import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { ask, causeOf, metricSum, startApp, type TestApp } from '../proxy/testing/mesh/http.ts';
import {
  meshedEndpoint,
  mirrorEndpoint,
  TestMesh,
  type TestCluster,
  type TestPod,
} from '../proxy/testing/mesh/test-mesh.ts';
import { startGateway, type Gateway } from './index.ts';

const TARGET = 'web.shop.svc.cluster.local:80';
const CHUNK = Buffer.alloc(65_536, 'x');
/** Bytes that the app would send to each reader. */
const LONG = 16 * 1024 * 1024;
/** A hundred cost seconds of CPU: each fills the sockets' buffers of every hop before it stalls. */
const STALLED = 100;
const MIB = 1024 * 1024;
/** Three proxies hold 256 KiB a stream; both apps' own buffers, and all that waits for the collector, are in this process too. Without a bound it would be LONG. */
const BOUND = 4 * MIB;

/** The whole way: app, sidecar, gateway, sidecar, app. */
describe('the chain of two clusters', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let west: TestCluster;
  let client: TestPod;
  let server: TestPod;
  let app: TestApp;
  const gateways: { pod: TestPod; running: Gateway; drain(): Promise<void> }[] = [];

  before(async () => {
    mesh = await TestMesh.create();
    east = await mesh.cluster('east');
    west = await mesh.cluster('west');
    client = mesh.pod(east, 'client');
    server = mesh.pod(west, 'server');
    await mesh.sidecar(east, client);
    await mesh.sidecar(west, server);
    app = await startApp(mesh, server.ip, (incoming, response) => {
      if (incoming.url === '/long') sendLong(response);
      else response.end(incoming.url);
    });
    west.controlPlane.setService(TARGET, [meshedEndpoint(server, app.port)]);
    west.controlPlane.setExports([{ namespace: 'shop', name: 'web', ports: [80] }]);
    for (let i = 0; i < 3; i++) await startReplica();
    tellReplicas();
  });
  after(() => mesh.close());

  async function startReplica(): Promise<void> {
    const pod = mesh.gatewayPod(west);
    const running = await startGateway(mesh.meshConfig(pod), await mesh.options(west, pod));
    let drained: Promise<void> | undefined;
    const drain = (): Promise<void> => (drained ??= running.drain());
    mesh.onClose(drain);
    gateways.push({ pod, running, drain });
  }

  function tellReplicas(): void {
    east.controlPlane.setService(
      'web-west.shop:80',
      gateways.map(({ pod }) => mirrorEndpoint(pod, TARGET)),
    );
  }

  /** Sends n requests, 16 at a time. Resolves with what became of those that were not answered by the app. */
  async function load(n: number, agent: Agent, each?: (i: number) => void): Promise<string[]> {
    const failures: string[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < n) {
        const i = next++;
        each?.(i);
        const answer = await ask(client.ip, `http://web-west.shop/${i}`, { agent });
        if (answer.body.toString() !== `/${i}`)
          failures.push(`${i}: ${answer.status} ${causeOf(answer) ?? ''}`);
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    return failures;
  }

  function sendLong(response: ServerResponse): void {
    let left = LONG;
    const more = (): void => {
      while (left > 0) {
        left -= CHUNK.length;
        if (!response.write(CHUNK)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  }

  test('a hundred readers that stall beside healthy ones: those are served, and memory stays bounded', async () => {
    const sockets: Socket[] = [];
    const before = process.memoryUsage().arrayBuffers;
    await Promise.all(
      Array.from({ length: STALLED }, async () => {
        const socket = connect({ host: client.ip, port: port.outbound });
        sockets.push(socket);
        socket.on('error', () => {});
        socket.write('GET http://web-west.shop/long HTTP/1.1\r\nhost: web-west.shop\r\n\r\n');
        await once(socket, 'readable');
      }),
    );
    const agent = new Agent({ keepAlive: true });
    const failures = await load(200, agent);
    agent.destroy();
    assert.deepEqual(failures, []);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < STALLED * BOUND, `${Math.round(grown / MIB)} MiB for ${STALLED} stalled streams`);
    for (const socket of sockets) socket.destroy();
  });

  test('all replicas of the gateway are used; one that drains under load loses nothing', async () => {
    const agent = new Agent({ keepAlive: true });
    const [first] = gateways;
    assert.ok(first !== undefined);
    let drained: Promise<void> | undefined;
    const failures = await load(900, agent, (i) => {
      if (i !== 300) return;
      // As in a cluster: the pod is told to go, and the news that it is gone comes later.
      drained = first.drain();
    });
    assert.deepEqual(failures, []);
    await drained;
    gateways.shift();
    tellReplicas();
    for (const { pod } of gateways)
      assert.ok((await metricSum(pod.ip, 'request_total', 'direction="inbound"')) > 0);
    agent.destroy();
  });

  test('endpoints that flap under load lose nothing', async () => {
    const other = mesh.pod(west, 'other');
    await mesh.sidecar(west, other);
    const twin = await startApp(mesh, other.ip, (incoming, response) => response.end(incoming.url));
    const sets = [
      [meshedEndpoint(server, app.port)],
      [meshedEndpoint(other, twin.port)],
      [meshedEndpoint(server, app.port), meshedEndpoint(other, twin.port)],
      [],
    ];
    const agent = new Agent({ keepAlive: true });
    const failures = await load(600, agent, (i) => {
      if (i % 10 !== 0) return;
      const set = sets[(i / 10) % sets.length] ?? [];
      west.controlPlane.setService(TARGET, set);
      // Those that find no endpoint wait for the next set.
      if (set.length === 0) setTimeout(() => west.controlPlane.setService(TARGET, sets[2] ?? []), 20);
    });
    agent.destroy();
    west.controlPlane.setService(TARGET, sets[0] ?? []);
    assert.deepEqual(failures, []);
    assert.ok(twin.connections > 0);
  });

  test('the control plane of both sides is dead: what is known goes on', async () => {
    east.controlPlane.kill();
    west.controlPlane.kill();
    const agent = new Agent({ keepAlive: true });
    const failures = await load(50, agent);
    assert.deepEqual(failures, []);
    assert.ok((await metricSum(client.ip, 'control_streams_broken')) > 0);
    assert.ok((await metricSum(client.ip, 'control_streams_stale_seconds')) > 0);
    east.controlPlane.revive();
    west.controlPlane.revive();
    assert.deepEqual(await load(50, agent), []);
    agent.destroy();
  });
});
