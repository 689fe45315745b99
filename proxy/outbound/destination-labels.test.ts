import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { endpoint } from '../balance/endpoint.ts';
import { ask, metricSum, startApp, type TestApp } from '../testing/mesh/http.ts';
import { clientMesh } from '../testing/mesh/client-mesh.ts';
import { meshedEndpoint, type TestMesh, type TestCluster, type TestPod } from '../testing/mesh/test-mesh.ts';
import { connectionLabels } from './destination-labels.ts';

const POD = { deployment: 'web', pod: 'web-1', serviceaccount: 'web' };

describe('labels of connections to other pods', () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;
  let server: TestPod;
  let app: TestApp;
  /** What answers wait for. */
  let hold: Promise<void> | undefined;

  before(async () => {
    ({ mesh, east, client } = await clientMesh());
    server = mesh.pod(east, 'server');
    await mesh.sidecar(east, server);
    app = await startApp(mesh, server.ip, (_incoming, response) => {
      if (hold === undefined) response.end();
      else void hold.then(() => response.end());
    });
  });
  after(() => mesh.close());

  async function askFor(service: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const endpoint = { ...meshedEndpoint(server, app.port), labels: { ...labels, service } };
    east.controlPlane.setService(`${service}.shop:80`, [endpoint]);
    assert.equal((await ask(client.ip, `http://${service}.shop/`)).status, 200);
  }
  function connections(...labels: string[]): Promise<number> {
    return metricSum(client.ip, 'tcp_open_connections', 'direction="outbound"', 'peer="dst"', ...labels);
  }

  test('say whose pod it is, and not which of its Services was asked for: one connection is for all of them', async () => {
    await askFor('web', { ...POD, namespace: 'shop' });
    await askFor('api', { ...POD, namespace: 'shop' });
    const labels = Object.entries({ ...POD, namespace: 'shop' }).map(
      ([name, value]) => `dst_${name}="${value}"`,
    );
    assert.equal(await connections(...labels, `server_id="${server.spiffeId}"`), 1);
    assert.equal(await connections('dst_service='), 0);
    assert.equal(await metricSum(client.ip, 'request_total', 'dst_service="api"'), 1);
  });

  test('are what the control plane said last when the connection was made', async () => {
    const tell = (deployment: string): void => {
      const endpoint = { address: server.ip, port: app.port, labels: { deployment } };
      east.controlPlane.setService('plain.shop:80', [endpoint]);
    };
    tell('first');
    const held = Promise.withResolvers<void>();
    const arrived = new Promise<void>((resolve) => {
      app.server.once('request', () => resolve());
    });
    hold = held.promise;
    const first = ask(client.ip, 'http://plain.shop/');
    await arrived;
    hold = undefined;
    const told = east.controlPlane.untilTold('plain.shop:80');
    tell('second');
    await told;
    assert.equal((await ask(client.ip, 'http://plain.shop/')).status, 200);
    held.resolve();
    assert.equal((await first).status, 200);
    for (const deployment of ['first', 'second'])
      assert.equal(await connections(`dst_deployment="${deployment}"`), 1, deployment);
  });

  test('of a gateway name the cluster that it leads to, and no namespace: it leads to many', () => {
    const gateway = endpoint({
      address: '10.0.0.1',
      port: 4143,
      dialPort: 4143,
      identity: undefined,
      authorityOverride: 'web.shop.svc.cluster.local:80',
      opaque: false,
      http2: false,
      weight: 1,
      labels: { namespace: 'shop', service: 'web-west', target_service: 'web', target_cluster: 'west' },
    });
    assert.deepEqual(connectionLabels(gateway), { dst_target_cluster: 'west' });
  });
});
