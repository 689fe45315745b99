import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { metricSum, startApp } from '../proxy/testing/mesh/http.ts';
import { meshedEndpoint, mirrorEndpoint } from '../proxy/testing/mesh/test-mesh.ts';
import { load } from './testing/load.ts';
import { gatewayIn, TARGET, twoClusters, type TestGateway } from './testing/two-clusters.ts';

const CHUNK = Buffer.alloc(65_536, 'x');
/** Bytes that the app would send to each reader. */
const LONG = 16 * 1024 * 1024;
/** A hundred cost seconds of CPU: each fills the sockets' buffers of every hop before it stalls. */
const STALLED = 100;
const MIB = 1024 * 1024;
/**
 * Three proxies hold 256 KiB a stream; both apps' own buffers, and all that waits for the collector, are in this
 * process too. Without a bound it would be LONG.
 */
const BOUND = 4 * MIB;

const { mesh, east, west, client, server, app, replica } = await twoClusters({
  app: (incoming, response) => {
    if (incoming.url === '/long') sendLong(response);
    else response.end(incoming.url);
  },
});

/** The whole way: app, sidecar, gateway, sidecar, app. */
describe('the chain of two clusters', () => {
  const gateways: TestGateway[] = [replica];

  before(async () => {
    for (let i = 1; i < 3; i++) gateways.push(await gatewayIn(mesh, west));
    tellReplicas();
  });
  after(() => mesh.close());

  function tellReplicas(): void {
    east.controlPlane.setService(
      'web-west.shop:80',
      gateways.map(({ pod }) => mirrorEndpoint(pod, TARGET)),
    );
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
    const failures = await load(200, client);
    assert.deepEqual(failures, []);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < STALLED * BOUND, `${Math.round(grown / MIB)} MiB for ${STALLED} stalled streams`);
    for (const socket of sockets) socket.destroy();
  });

  test('all replicas of the gateway are used; one that drains under load loses nothing', async () => {
    const [first] = gateways;
    assert.ok(first !== undefined);
    let drained: Promise<void> | undefined;
    const failures = await load(900, client, (i) => {
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
    const failures = await load(600, client, (i) => {
      if (i % 10 !== 0) return;
      const set = sets[(i / 10) % sets.length] ?? [];
      west.controlPlane.setService(TARGET, set);
      // Those that find no endpoint wait for the next set.
      if (set.length === 0) setTimeout(() => west.controlPlane.setService(TARGET, sets[2] ?? []), 20);
    });
    west.controlPlane.setService(TARGET, sets[0] ?? []);
    assert.deepEqual(failures, []);
    assert.ok(twin.connections > 0);
  });

  test('the control plane of both sides is dead: what is known goes on', async () => {
    east.controlPlane.kill();
    west.controlPlane.kill();
    const failures = await load(50, client);
    assert.deepEqual(failures, []);
    assert.ok((await metricSum(client.ip, 'control_streams_broken')) > 0);
    assert.ok((await metricSum(client.ip, 'control_streams_stale_seconds')) > 0);
    east.controlPlane.revive();
    west.controlPlane.revive();
    assert.deepEqual(await load(50, client), []);
  });
});

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
