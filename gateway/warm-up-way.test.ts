import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { ask, metricSum, startApp } from '../proxy/testing/mesh/http.ts';
import { dialIsthmus } from '../proxy/testing/mesh/isthmus-client.ts';
import {
  meshedEndpoint,
  mirrorEndpoint,
  TestMesh,
  type TestCluster,
  type TestPod,
} from '../proxy/testing/mesh/test-mesh.ts';
import { untold } from '../proxy/testing/untold.ts';
import { resources, until } from '../proxy/testing/resources.ts';
import { warmUp, type MeshConfig, type WarmedUp, type WarmUpLimits } from '../proxy/index.ts';
import type { Gateway } from './gateway.ts';
import { gatewayIn, TARGET } from './testing/two-clusters.ts';
import { throughGateway } from './warm-up-way.ts';

/** ms that no machine takes. */
const LONG = 60_000;

describe('warm-up of a gateway', () => {
  let mesh: TestMesh;
  let west: TestCluster;
  let pod: TestPod;
  let config: MeshConfig;
  let gateway: Gateway;

  before(async () => {
    mesh = await TestMesh.create();
    west = await mesh.cluster('west');
    west.controlPlane.setExports([{ namespace: 'shop', name: 'web', ports: [80] }]);
    pod = mesh.gatewayPod(west);
    config = mesh.meshConfig(pod);
    gateway = (await gatewayIn(mesh, west, pod)).running;
  });
  after(() => mesh.close());

  /** A warm-up that is not left out. */
  async function warmedUp(limits: WarmUpLimits, of = config, busy = () => false): Promise<WarmedUp> {
    const done = await warmUp(throughGateway(of, gateway.identity), gateway.identity, busy, limits);
    assert.ok(done !== undefined);
    return done;
  }

  test('goes through a gateway over mutual TLS to an app behind it', async () => {
    const app = await startApp(mesh, '127.0.0.1', (incoming, response) =>
      response.end(JSON.stringify(incoming.headers)),
    );
    const way = await throughGateway(config, gateway.identity)(app.port);
    const body = await bodyOf('127.0.0.1', way.port, 'http://warm-up.isthmus/');
    await way.drain();
    const seen = JSON.parse(body) as Record<string, string>;
    assert.equal(seen['l5d-client-id'], pod.dnsName);
    assert.match(String(seen['forwarded']), new RegExp(`^by="${pod.spiffeId}";for="${pod.spiffeId}";`));
  });

  test('leaves no trace in the metrics, in the access log and among spans', async (t) => {
    const told = await untold(t);
    const { answered, end } = await warmedUp({ requests: 50, ms: LONG }, { ...config, ...told.settings });
    assert.ok(answered >= 50, `${answered} were answered`);
    // What it went through has told all when its drain is over, which the end waits for.
    await end();
    told.check();
    for (const name of ['request_total', 'tcp_open_total', 'inbound_http_authz_allow_total'])
      assert.equal(await metricSum(pod.ip, name), 0, name);
    assert.equal(gateway.busy, false);
  });

  test('leaves requests that stand still, and nobody can connect to', async () => {
    const before = resources();
    const { again, end } = await warmedUp({ requests: 50, ms: LONG });
    assert.equal(await again(), true);
    await until(() => resources().listeners <= before.listeners);
    const standing = resources();
    await end();
    // Of each of the four the client's and the app's connection, at both their ends, and one on each side of the gateway.
    await until(() => resources().connections <= standing.connections - 4 * 4 - 2 * 2);
  });

  test('is ended by the first request for a service, and by no probe', async () => {
    const east = await mesh.cluster('east');
    const [client, server] = [mesh.pod(east, 'client'), mesh.pod(west, 'server')];
    await mesh.sidecar(west, server);
    const app = await startApp(mesh, server.ip, (_incoming, response) => response.end('hello'));
    west.controlPlane.setService(TARGET, [meshedEndpoint(server, app.port)]);
    const prober = await dialIsthmus(await mesh.identity(east, mesh.pod(east, 'prober')), pod);
    mesh.onClose(() => prober.close());
    const probe = [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/ready'],
      [':authority', 'gateway'],
    ] as const;
    assert.equal((await prober.ask(probe)).status, 200);
    assert.equal(gateway.busy, false);
    await mesh.sidecar(east, client);
    east.controlPlane.setService('web-west.shop:80', [mirrorEndpoint(pod, TARGET)]);
    // A warm-up that nothing ended would go on for half a minute.
    let over = false;
    const warming = warmedUp({ requests: 1_000_000, ms: LONG }, config, () => over || gateway.busy);
    const { status } = await ask(client.ip, 'http://web-west.shop/').finally(() => {
      over = true;
    });
    assert.deepEqual([status, gateway.busy], [200, true]);
    await (await warming).end();
  });
});

/** By the absolute form. */
function bodyOf(host: string, outbound: number, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host, port: outbound, path: url, headers: { host: new URL(url).host } });
    asked.once('error', reject);
    asked.once('response', (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.once('end', () => resolve(text));
    });
    asked.end();
  });
}
