import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, causeOf, metricSum, startApp, type Answer, type TestApp } from './testing/mesh/http.ts';
import { clientMesh } from './testing/mesh/client-mesh.ts';
import { meshedEndpoint, type TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';

describe('l5d-require-id', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;
  let server: TestPod;
  let app: TestApp;
  let asked = 0;
  let seen: string | string[] | undefined;

  before(async () => {
    ({ mesh, east, client } = await clientMesh('fast'));
    server = mesh.pod(east, 'server');
    await mesh.sidecar(east, server);
    app = await startApp(mesh, server.ip, (incoming, response) => {
      asked++;
      seen = incoming.headers['l5d-require-id'];
      response.end();
    });
    east.controlPlane.setService('web.shop:80', [meshedEndpoint(server, app.port)]);
  });
  after(() => mesh.close());

  function demand(id: string | string[], host = 'web.shop'): Promise<Answer> {
    return ask(client.ip, `http://${host}/`, { headers: { 'l5d-require-id': id } });
  }

  test('the workload that is demanded answers, by either of its names', async () => {
    for (const id of [server.dnsName, server.spiffeId]) {
      assert.equal((await demand(id)).status, 200);
      assert.equal(seen, undefined, 'an app that passes its fields on demands nobody of others');
    }
  });

  test('nobody else does: 502, as with Linkerd, counted, and the app hears nothing of it', async () => {
    const before_ = asked;
    for (const id of [client.dnsName, '', [server.dnsName, client.dnsName]]) {
      const answer = await demand(id);
      assert.deepEqual([answer.status, causeOf(answer)], [502, 'identity-required']);
    }
    assert.equal(asked, before_);
    assert.equal(await metricSum(client.ip, 'outbound_http_errors_total', 'error="identity-required"'), 3);
    assert.equal((await ask(client.ip, 'http://web.shop/')).status, 200, 'who demands nobody is served');
  });

  test('nor a server without an identity', async () => {
    const answer = await demand(server.dnsName, `${server.ip}:${app.port}`);
    assert.deepEqual([answer.status, causeOf(answer)], [502, 'identity-required']);
  });
});
