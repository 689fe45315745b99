import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { alpn } from '../api/names.ts';
import { Flag, FrameType } from './http2/frames.ts';
import { frame } from './testing/http2-frames.ts';
import type { FakeEndpoint } from './testing/mesh/fake-control-plane.ts';
import { serveFrames, type Fields } from './testing/mesh/frame-server.ts';
import { ask } from './testing/mesh/http.ts';
import { http2Through } from './testing/mesh/http2.ts';
import { startLinkerdPeer } from './testing/mesh/linkerd-peer.ts';
import { ask2 } from './testing/mesh/mesh-client.ts';
import { clientMesh } from './testing/mesh/client-mesh.ts';
import { type TestMesh, type TestCluster, type TestPod } from './testing/mesh/test-mesh.ts';
import { encodeTransportHeader, type TransportHeader } from './detect/transport-header.ts';

/** `:status 200`, and the field of Linkerd's proxies that says that the app answered by HTTP/1.1. */
const MARKED_ANSWER = Buffer.concat([
  Buffer.from([0x88, 0x00, 14]),
  Buffer.from('l5d-orig-proto'),
  Buffer.from([8]),
  Buffer.from('HTTP/1.1'),
]);

describe("HTTP/2 towards Linkerd's proxies", () => {
  let mesh: TestMesh;
  let east: TestCluster;
  let client: TestPod;

  before(async () => {
    ({ mesh, east, client } = await clientMesh('fast'));
  });
  after(() => mesh.close());

  /** Answers each request with its path. */
  function answering(seen: Fields[]): (id: number, fields: Fields) => Buffer[] {
    return (id, fields) => {
      seen.push(fields);
      return [
        frame(FrameType.headers, Flag.endHeaders, id, MARKED_ANSWER),
        frame(FrameType.data, Flag.endStream, id, Buffer.from(fields[':path'] ?? '')),
      ];
    };
  }

  /** A peer behind which all connections are HTTP/2; where it takes headers, the wanted one must come first. */
  async function peer(name: string, protocol: string | undefined, header: TransportHeader | undefined) {
    const pod = mesh.pod(east, name);
    const seen: Fields[] = [];
    const expected = header === undefined ? Buffer.alloc(0) : encodeTransportHeader(header);
    const { port, connections } = await startLinkerdPeer(mesh, pod, protocol, ({ socket }) =>
      serveFrames(socket, expected.length, answering(seen)),
    );
    const first = (): string => {
      const used = connections.find(({ received }) => received.length > 0);
      return used?.received.subarray(0, expected.length).toString('latin1') ?? '';
    };
    return { pod, port, seen, first, expected: expected.toString('latin1') };
  }

  function endpoint(pod: TestPod, port: number, more: Partial<FakeEndpoint> = {}): FakeEndpoint {
    return { address: pod.ip, port, dnsName: pod.dnsName, http2: true, ...more };
  }

  test('HTTP/1.1 of an app travels in HTTP/2 behind a header, marked; the app does not see that', async () => {
    const header = { port: 80, name: '', protocol: 'http2' } as const;
    const { pod, port, seen, first, expected } = await peer('marked', alpn.linkerd, header);
    east.controlPlane.setService('one.shop:80', [endpoint(pod, 80, { inboundPort: port })]);
    const answers = await Promise.all(
      ['/a', '/b'].map((path) =>
        ask(client.ip, `http://one.shop${path}`, { headers: { 'x-a': 'b', 'l5d-orig-proto': 'HTTP/0.9' } }),
      ),
    );
    assert.deepEqual(
      answers.map(({ status, body, headers }) => [status, body.toString(), headers['l5d-orig-proto']]),
      [
        [200, '/a', undefined],
        [200, '/b', undefined],
      ],
    );
    assert.equal(first(), expected);
    assert.deepEqual(
      seen.find((fields) => fields[':path'] === '/a'),
      {
        ':method': 'GET',
        ':path': '/a',
        ':scheme': 'http',
        ':authority': 'one.shop',
        host: 'one.shop',
        'x-a': 'b',
        'l5d-orig-proto': 'HTTP/1.1',
      },
    );
  });

  test('HTTP/2 of an app is HTTP/2, and says nothing of HTTP/1.1, whatever the app writes', async () => {
    const header = { port: 81, name: '', protocol: 'http2' } as const;
    const { pod, port, seen } = await peer('native', alpn.linkerd, header);
    east.controlPlane.setService('native.shop:81', [endpoint(pod, 81, { inboundPort: port, http2: false })]);
    const session = await http2Through(mesh, client.ip, 'native.shop:81');
    const answer = await ask2(session, { ':path': '/c', 'l5d-orig-proto': 'HTTP/1.1' });
    assert.deepEqual([answer.status, answer.body, answer.headers['l5d-orig-proto']], [200, '/c', undefined]);
    assert.deepEqual(seen, [
      { ':method': 'GET', ':path': '/c', ':scheme': 'http', ':authority': 'native.shop:81' },
    ]);
  });

  test("through Linkerd's gateway: the authority is the name behind it, and there is no host", async () => {
    const name = 'web.shop.svc.cluster.local';
    const header = { port: 8_080, name, protocol: 'http2' } as const;
    const { pod, port, seen, first, expected } = await peer('linkerd-gateway', alpn.linkerd, header);
    const override = `${name}:8080`;
    const at = endpoint(pod, port, { inboundPort: port, authorityOverride: override });
    east.controlPlane.setService('web-west.shop:80', [at]);
    assert.equal((await ask(client.ip, 'http://web-west.shop/d')).status, 200);
    assert.equal(first(), expected);
    assert.deepEqual(seen, [
      {
        ':method': 'GET',
        ':path': '/d',
        ':scheme': 'http',
        ':authority': override,
        'l5d-orig-proto': 'HTTP/1.1',
      },
    ]);
  });

  test("an app's own port without ALPN: HTTP/2 inside of TLS, and no header", async () => {
    const { pod, port, seen } = await peer('redirected', undefined, undefined);
    east.controlPlane.setService('bare.shop:80', [endpoint(pod, port)]);
    assert.equal((await ask(client.ip, 'http://bare.shop/e')).body.toString(), '/e');
    assert.equal(seen[0]?.['l5d-orig-proto'], 'HTTP/1.1');
  });

  test('a hint without an identity: HTTP/2 in the clear', async () => {
    const seen: Fields[] = [];
    const sockets = new Set<Socket>();
    const plain = createServer((socket) => {
      sockets.add(socket);
      serveFrames(socket, 0, answering(seen));
    });
    const pod = mesh.pod(east, 'plain');
    plain.listen(0, pod.ip);
    await once(plain, 'listening');
    mesh.onClose(() => {
      for (const socket of sockets) socket.destroy();
      plain.close();
    });
    const { port } = plain.address() as AddressInfo;
    east.controlPlane.setService('plain.shop:80', [{ address: pod.ip, port, http2: true }]);
    assert.equal((await ask(client.ip, 'http://plain.shop/f')).body.toString(), '/f');
    assert.equal(seen[0]?.['l5d-orig-proto'], 'HTTP/1.1');
  });
});
