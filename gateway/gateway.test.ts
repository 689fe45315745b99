import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { alpn, port } from '../api/names.ts';
import { ask, causeOf, metricSum } from '../proxy/testing/mesh/http.ts';
import { meshedEndpoint, mirrorEndpoint, TestMesh, type TestPod } from '../proxy/testing/mesh/test-mesh.ts';
import { encodeTransportHeader } from '../proxy/detect/transport-header.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import { makeLeaf } from '../workload-identity/testing/test-ca.ts';
import { closed, refusedLeaf } from './testing/refused-leaf.ts';
import { gatewayIn, TARGET, twoClusters } from './testing/two-clusters.ts';

const EXPORTS = [
  { namespace: 'shop', name: 'web', ports: [80, 81, 82] },
  { namespace: 'shop', name: 'web-north', ports: [80], mirror: true },
];

const { mesh, east, west, client, server, gateway, app } = await twoClusters({
  config: (part, fast) => (part === 'gateway' ? fast : {}),
});

describe('a gateway between two clusters', () => {
  before(() => west.controlPlane.setExports(EXPORTS));
  after(() => mesh.close());

  /** Asks the sidecar in `east` for what the control plane there says is behind the gateway as `target`. */
  async function through(target: string, headers: Record<string, string> = {}, at = gateway) {
    const name = `t${Math.random().toString(36).slice(2)}.shop`;
    east.controlPlane.setService(`${name}:80`, [mirrorEndpoint(at, target)]);
    return ask(client.ip, `http://${name}/`, { headers });
  }

  test("a request reaches the other cluster's app, which sees who asks", async () => {
    const answer = await ask(client.ip, 'http://web-west.shop/path', {
      headers: {
        'l5d-client-id': 'evil',
        forwarded: `by="${gateway.spiffeId}x";for=evil`,
      },
    });
    assert.equal(answer.status, 200);
    const seen = JSON.parse(answer.body.toString()) as Record<string, string>;
    assert.equal(seen['l5d-client-id'], client.spiffeId);
    assert.equal(seen['host'], 'web-west.shop');
    assert.equal(
      seen['forwarded'],
      `by="${gateway.spiffeId}";for="${client.spiffeId}";host="web-west.shop";proto=https`,
    );
    assert.deepEqual(
      Object.keys(seen).filter((name) => name.includes('isthmus')),
      [],
    );
  });

  test('a person sees at the gateway who asked whom, who was turned away, and why', async () => {
    const who = ['direction="inbound"', `client_id="${client.spiffeId}"`];
    const labels = [...who, `authority="${TARGET}"`];
    const names = ['request_total', 'response_total', 'inbound_http_authz_allow_total'];
    const read = () => Promise.all(names.map((name) => metricSum(gateway.ip, name, ...labels)));
    const denied = () =>
      metricSum(gateway.ip, 'inbound_http_authz_deny_total', ...who, 'authz_name="not-exported"');
    const before = [...(await read()), await denied()];
    await ask(client.ip, 'http://web-west.shop/');
    await through('db.shop.svc.cluster.local:80');
    assert.deepEqual(
      [...(await read()), await denied()],
      before.map((n) => n + 1),
    );
    assert.ok((await metricSum(gateway.ip, 'response_total', ...who, 'status_code="404"')) >= 1);
    const endpoints = await metricSum(
      gateway.ip,
      'outbound_http_balancer_endpoints',
      `authority="${TARGET}"`,
      'endpoint_state="ready"',
    );
    assert.equal(endpoints, 1);
    assert.ok((await metricSum(gateway.ip, 'control_request_total', 'service="exports"')) >= 1);
    assert.equal(await metricSum(gateway.ip, 'control_streams_stale_seconds'), 0);
  });

  test("the client's sidecar speaks Linkerd's way: the same answers", async () => {
    const linkerdish = mesh.pod(east, 'linkerdish');
    await mesh.sidecar(east, linkerdish, {}, { alpn: [alpn.linkerd] });
    const answer = await ask(linkerdish.ip, 'http://web-west.shop/');
    assert.equal(answer.status, 200);
    const seen = JSON.parse(answer.body.toString()) as Record<string, string>;
    assert.deepEqual([seen['l5d-client-id'], seen['host']], [linkerdish.spiffeId, TARGET]);
    east.controlPlane.setService('hidden.shop:80', [
      mirrorEndpoint(gateway, 'hidden.shop.svc.cluster.local:80'),
    ]);
    assert.equal((await ask(linkerdish.ip, 'http://hidden.shop/')).status, 404);
  });

  test('whom a request demands by l5d-require-id is the workload behind the gateway, not the gateway', async () => {
    const demand = (id: string) =>
      ask(client.ip, 'http://web-west.shop/', { headers: { 'l5d-require-id': id } });
    assert.equal((await demand(server.dnsName)).status, 200);
    const answer = await demand(gateway.dnsName);
    assert.deepEqual([answer.status, causeOf(answer)], [502, 'identity-required']);
  });

  test('what is not exported is not there', async () => {
    west.controlPlane.setService('db.shop.svc.cluster.local:80', [meshedEndpoint(server, app.port)]);
    for (const target of [
      'db.shop.svc.cluster.local:80',
      'web.shop.svc.cluster.local:83',
      'web:80',
      `${server.ip}:80`,
    ]) {
      const answer = await through(target);
      assert.deepEqual([answer.status, causeOf(answer)], [404, 'not-exported'], target);
    }
  });

  test('a service that is no longer exported is gone at once', async () => {
    west.controlPlane.setExports([]);
    assert.equal((await ask(client.ip, 'http://web-west.shop/')).status, 404);
    west.controlPlane.setExports(EXPORTS);
    assert.equal((await ask(client.ip, 'http://web-west.shop/')).status, 200);
  });

  test('never out again: a mirror, an endpoint in a third cluster, and a request that came by this gateway are loops', async () => {
    const mirror = await through('web-north.shop.svc.cluster.local:80');
    assert.deepEqual([mirror.status, causeOf(mirror)], [508, 'gateway-loop']);
    west.controlPlane.setService('web.shop.svc.cluster.local:81', [mirrorEndpoint(gateway, 'x.y.svc:80')]);
    const third = await through('web.shop.svc.cluster.local:81');
    assert.deepEqual([third.status, causeOf(third)], [508, 'gateway-loop']);
    const again = await through(TARGET, { forwarded: `for=a;by="${gateway.spiffeId}"` });
    assert.deepEqual([again.status, causeOf(again)], [508, 'gateway-loop']);
  });

  test('a proxy port behind the gateway is refused, and an exported name without a Service', async () => {
    const own = await through('web.shop.svc.cluster.local:4191');
    assert.equal(own.status, 404);
    west.controlPlane.setService('web.shop.svc.cluster.local:82', []);
    const nobody = await through('web.shop.svc.cluster.local:82');
    assert.deepEqual([nobody.status, causeOf(nobody)], [504, 'fail-fast']);
  });

  test('a gateway is not served by another, and a workload not by its own cluster’s', async () => {
    const eastGateway = mesh.gatewayPod(east);
    const { proxy } = await mesh.sidecar(east, eastGateway);
    assert.ok(proxy.unready() === undefined);
    const hop = await ask(eastGateway.ip, 'http://web-west.shop/');
    assert.deepEqual([hop.status, causeOf(hop)], [508, 'gateway-loop']);
    const local = mesh.pod(west, 'local');
    await mesh.sidecar(west, local);
    west.controlPlane.setService('sneak.shop:80', [mirrorEndpoint(gateway, TARGET)]);
    const own = await ask(local.ip, 'http://sneak.shop/');
    assert.deepEqual([own.status, causeOf(own)], [403, 'unauthorized']);
  });

  test('a sidecar does not serve as a gateway', async () => {
    const answer = await through(TARGET, {}, server);
    assert.equal(answer.status, 404);
  });

  test('without a certificate, with one of another anchor, or in plaintext: closed, and counted', async () => {
    const before = await metricSum(gateway.ip, 'inbound_connections_refused_total');
    const plain = connectTcp(port.inbound, gateway.ip);
    plain.end('GET / HTTP/1.1\r\nhost: web\r\n\r\n');
    await closed(plain);
    const bare = connectTls({
      host: gateway.ip,
      port: port.inbound,
      rejectUnauthorized: false,
      ALPNProtocols: [alpn.isthmus],
    });
    await closed(bare);
    const stranger = await TestMesh.create();
    const identity = await stranger.identity(await stranger.cluster('east'), client);
    const options = identity.clientOptions({ alpn: [alpn.isthmus], expect: {} });
    assert.ok(options !== undefined);
    const foreign = connectTls({
      ...options,
      host: gateway.ip,
      port: port.inbound,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    await closed(foreign);
    await stranger.close();
    const refused = await metricSum(gateway.ip, 'inbound_connections_refused_total');
    assert.equal(refused - before, 3);
  });

  test('a leaf that names another cluster than its issuer is refused', async () => {
    const forged = mesh.pod(west, 'forged');
    const leaf = await makeLeaf(east.issuer, forged.names);
    await refusedLeaf(leaf, east.issuer, gateway);
    assert.ok((await metricSum(gateway.ip, 'inbound_connections_refused_total', 'issuer-cluster')) >= 1);
  });

  test('the probe: GET /ready of the gateway itself, by any HTTP/2 client of the mesh', async () => {
    const identity = await mesh.identity(east, mesh.pod(east, 'isthmus-mirror-controller', 'isthmus'));
    const socket = await dial(identity, gateway, [alpn.isthmus]);
    const session = connectHttp2(`https://${gateway.ip}`, { createConnection: () => socket });
    const probe = session.request({ ':path': '/ready', ':authority': 'anything' });
    const [headers] = (await once(probe, 'response')) as [{ ':status': number }];
    assert.equal(headers[':status'], 200);
    const other = session.request({ ':path': '/metrics' });
    const [refused] = (await once(other, 'response')) as [{ ':status': number }];
    assert.equal(refused[':status'], 404);
    session.destroy();
  });

  test("Linkerd's way: a transport header with the exported name, and one without", async () => {
    const identity = await mesh.identity(east, mesh.pod(east, 'linkerd-like'));
    const [host = '', number = ''] = TARGET.split(':');
    const request = 'GET /x HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n';
    const named = await dial(identity, gateway, [alpn.linkerd]);
    named.write(encodeTransportHeader({ port: Number(number), name: host, protocol: 'http1' }));
    named.write(request);
    const answer = await readText(named);
    assert.match(answer, /^HTTP\/1\.1 200/);
    assert.match(
      answer,
      /"l5d-client-id":"spiffe:\/\/cluster\.local\/cluster\/east\/ns\/shop\/sa\/linkerd-like"/,
    );
    const unnamed = await dial(identity, gateway, [alpn.linkerd]);
    unnamed.write(encodeTransportHeader({ port: 80, name: '', protocol: 'http1' }));
    unnamed.write(request);
    assert.match(await readText(unnamed), /^HTTP\/1\.1 404/);
    const direct = await dial(identity, server, [alpn.linkerd]);
    direct.write(encodeTransportHeader({ port: app.port, name: '', protocol: 'http1' }));
    direct.write(request);
    assert.match(await readText(direct), /^HTTP\/1\.1 200/);
    const own = await dial(identity, server, [alpn.linkerd]);
    own.write(encodeTransportHeader({ port: port.admin, name: '', protocol: 'http1' }));
    await closed(own);
  });

  test('the gateway does not know what is exported: it is not ready, and serves nothing', async () => {
    const fresh = await mesh.cluster('south');
    fresh.controlPlane.kill();
    const pod = mesh.gatewayPod(fresh);
    await gatewayIn(mesh, fresh, pod);
    const ready = await fetch(`http://${pod.ip}:${port.admin}/ready`);
    assert.equal(ready.status, 503);
    const answer = await through(TARGET, {}, pod);
    assert.equal(answer.status, 404);
  });
});

async function dial(identity: WorkloadIdentity, to: TestPod, protocols: string[]): Promise<TLSSocket> {
  const options = identity.clientOptions({
    alpn: protocols,
    expect: { spiffeId: to.spiffeId, dnsName: to.dnsName },
  });
  assert.ok(options !== undefined);
  const socket = connectTls({ ...options, host: to.ip, port: port.inbound });
  await once(socket, 'secureConnect');
  return socket;
}

/** Resolves when the other side has closed the connection, in whatever way. */
async function readText(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
