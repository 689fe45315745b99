import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { meshedEndpoint, TestMesh } from './testing/mesh/test-mesh.ts';
import { dialWire, startWireApp } from './testing/mesh/wire.ts';

const END = '\r\n\r\n';

describe('an answer that is under way when the grace of a drain is over', () => {
  for (const [what, meshed] of [
    ['of a workload of the mesh', true],
    ['of a server without a sidecar', false],
  ] as const)
    test(`${what} breaks off: its end would pass for a whole one`, async (t) => {
      const mesh = await TestMesh.create();
      t.after(() => mesh.close());
      const east = await mesh.cluster('east');
      const [client, server] = [mesh.pod(east, 'client'), mesh.pod(east, 'server')];
      const { times } = mesh.fast(client);
      const sidecar = await mesh.sidecar(east, client, { times: { ...times, graceMs: 50 } });
      if (meshed) await mesh.sidecar(east, server);
      const at = await startWireApp(mesh, server.ip, async (app) => {
        await app.until(END);
        app.socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n');
      });
      east.controlPlane.setService('web.shop:80', [meshedEndpoint(server, at)]);
      const wire = await dialWire(mesh, client.ip, port.outbound);
      const host = meshed ? 'web.shop' : `${server.ip}:${at}`;
      wire.socket.write(`GET http://${host}/ HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
      await wire.until('body');
      const rest = wire.rest();
      rest.catch(() => {});
      await sidecar.drain();
      await assert.rejects(rest, /broken/);
    });
});
