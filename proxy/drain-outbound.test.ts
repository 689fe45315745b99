import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { ask, startApp } from './testing/mesh/http.ts';
import { meshedEndpoint, TestMesh } from './testing/mesh/test-mesh.ts';

/** Its sidecar stands beside the app's container, and both were told to end. */
describe('a sidecar that drains under an app which still answers', () => {
  test('the app reaches others by new connections until it has answered, and no longer', async (t) => {
    const mesh = await TestMesh.create();
    t.after(() => mesh.close());
    const east = await mesh.cluster('east');
    const [client, server] = [mesh.pod(east, 'client'), mesh.pod(east, 'server')];
    await mesh.sidecar(east, client);
    const leaving = await mesh.sidecar(east, server);
    const database = await startApp(mesh, server.ip, (_incoming, response) => void response.end('a row'));
    const asked = Promise.withResolvers<void>();
    const draining = Promise.withResolvers<void>();
    const web = await startApp(mesh, server.ip, (_incoming, response) => {
      asked.resolve();
      void draining.promise
        .then(() => ask(server.ip, `http://${server.ip}:${database.port}/`))
        .then(
          ({ body }) => response.end(body),
          (error: unknown) => response.writeHead(500).end(String(error)),
        );
    });
    east.controlPlane.setService('web.shop:80', [meshedEndpoint(server, web.port)]);
    const answered = ask(client.ip, 'http://web.shop/');
    await asked.promise;
    const drained = leaving.drain();
    draining.resolve();
    const { status, body } = await answered;
    assert.deepEqual([status, body.toString()], [200, 'a row']);
    await drained;
    const refused = connect(port.outbound, server.ip);
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });
});
