import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls, createServer } from 'node:tls';
import { alpn, port, spiffeId } from '../api/names.ts';
import { SETTINGS } from '../proxy/testing/http2-frames.ts';
import { metricSum } from '../proxy/testing/mesh/http.ts';
import { meshedEndpoint, mirrorEndpoint, type TestPod } from '../proxy/testing/mesh/test-mesh.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import { makeLeaf } from '../workload-identity/testing/test-ca.ts';
import { load } from './testing/load.ts';
import { refusedLeaf } from './testing/refused-leaf.ts';
import { twoClusters } from './testing/two-clusters.ts';

const FROZEN = 'frozen.shop.svc.cluster.local:80';
const KIB = 1024;
const UPLOADS = 32;
/** Bytes that each would send. */
const UPLOAD = 1024 * KIB;
/** Bytes that a gateway takes of each: a stream's window, and frames around it. */
const MOST = 80 * KIB;

const { mesh, east, west, client, gateway, replica } = await twoClusters({
  app: (incoming, response) => response.end(incoming.url),
});
const { identity } = replica.running;

/** What users meet around a gateway that works. */
describe('a gateway in trouble', () => {
  before(() => {
    west.controlPlane.setExports(['web', 'frozen'].map((name) => ({ namespace: 'shop', name, ports: [80] })));
    east.controlPlane.setService('frozen-west.shop:80', [mirrorEndpoint(gateway, FROZEN)]);
  });
  after(() => mesh.close());

  test('its certificate is renewed under load: nothing fails, and whoever connects is shown the new one', async () => {
    const shown = await certificateOf(gateway, await mesh.identity(east, mesh.pod(east, 'looker')));
    const renewed = Promise.withResolvers<void>();
    const before = identity.serverOptions();
    const forget = identity.onChange(() => {
      if (identity.serverOptions() !== before) renewed.resolve();
    });
    const failures = await load(600, client, (i) => {
      if (i === 200) identity.renew();
    });
    assert.deepEqual(failures, []);
    await renewed.promise;
    forget();
    const newcomer = mesh.pod(east, 'newcomer');
    await mesh.sidecar(east, newcomer);
    assert.deepEqual(await load(50, newcomer), []);
    assert.deepEqual(await load(50, client), []);
    const now = await certificateOf(gateway, await mesh.identity(east, mesh.pod(east, 'looker')));
    assert.notEqual(now, shown);
  });

  test('the sidecar of one target takes nothing: others are served, and little of what is for it is held', async () => {
    const pod = mesh.pod(west, 'frozen');
    await freeze(pod);
    west.controlPlane.setService(FROZEN, [meshedEndpoint(pod, 80)]);
    const read = (): Promise<number> =>
      metricSum(gateway.ip, 'tcp_read_bytes_total', 'direction="inbound"', `client_id="${client.spiffeId}"`);
    const before = await read();
    const sockets = Array.from({ length: UPLOADS }, () => upload(client, 'frozen-west.shop'));
    // More than a half of what it may take: they have come as far as they come.
    while ((await read()) - before < (UPLOADS * 64 * KIB) / 2) await load(1, client);
    assert.deepEqual(await load(300, client), []);
    const taken = (await read()) - before;
    assert.ok(taken < UPLOADS * MOST, `${Math.round(taken / KIB)} KiB of ${UPLOADS} uploads`);
    for (const socket of sockets) socket.destroy();
    assert.deepEqual(await load(50, client), []);
  });

  test('a client of another trust domain, whatever vouches for it: closed, and told by its reason', async () => {
    const reason = 'reason="trust-domain"';
    const before = await metricSum(gateway.ip, 'inbound_connections_refused_total', reason);
    const names = { ...mesh.pod(east, 'stranger').names, trustDomain: 'elsewhere.example' };
    const leaf = await makeLeaf(east.issuer, names, { uri: [spiffeId(names)] });
    await refusedLeaf(leaf, east.issuer, gateway);
    assert.equal(await metricSum(gateway.ip, 'inbound_connections_refused_total', reason), before + 1);
  });

  /** A sidecar whose process stands still right behind its first connections' handshakes. */
  async function freeze(pod: TestPod): Promise<void> {
    const options = (await mesh.identity(west, pod)).serverOptions({ alpn: [alpn.isthmus] });
    assert.ok(options !== undefined);
    const sockets: Socket[] = [];
    const server = createServer(options, (socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write(SETTINGS);
      socket.pause();
    });
    server.listen(port.inbound, pod.ip);
    await once(server, 'listening');
    mesh.onClose(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
  }
});

/** Sends as much as is taken. */
function upload(from: TestPod, name: string): Socket {
  const socket = connectTcp({ host: from.ip, port: port.outbound });
  socket.on('error', () => {});
  socket.write(`POST http://${name}/ HTTP/1.1\r\nhost: ${name}\r\ncontent-length: ${UPLOAD}\r\n\r\n`);
  socket.write(Buffer.alloc(UPLOAD, 'x'));
  return socket;
}

/** Fingerprint of what is shown at a new connection. */
async function certificateOf(to: TestPod, by: WorkloadIdentity): Promise<string> {
  const options = by.clientOptions({
    alpn: [alpn.isthmus],
    expect: { spiffeId: to.spiffeId, dnsName: to.dnsName },
  });
  assert.ok(options !== undefined);
  const socket = connectTls({ ...options, host: to.ip, port: port.inbound });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
