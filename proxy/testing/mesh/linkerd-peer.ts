import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { makeIssuer, makeLeaf, privateKeyPem } from '../../../workload-identity/testing/test-ca.ts';
import type { TestMesh, TestPod } from './test-mesh.ts';

/** One connection that a Linkerd peer has taken. */
export interface LinkerdConnection {
  readonly socket: TLSSocket;
  readonly sni: string;
  readonly offered: readonly string[];
  /** All that came on it so far. */
  received: Buffer;
  /** Resolves when at least n bytes have come. */
  untilReceived(n: number): Promise<void>;
}

/** What stands where Linkerd's proxy would: TLS by a leaf that has a DNS name alone, and an ear for every byte. */
export interface LinkerdPeer {
  readonly port: number;
  readonly connections: LinkerdConnection[];
}

/** @param protocol what it picks by ALPN; undefined: it does not look at ALPN, as on a redirected port */
export async function startLinkerdPeer(
  mesh: TestMesh,
  pod: TestPod,
  protocol: string | undefined,
  onConnection: (connection: LinkerdConnection) => void,
): Promise<LinkerdPeer> {
  const issuer = await makeIssuer(mesh.anchor, '', { dns: ['identity.linkerd.cluster.local'], uri: [] });
  const leaf = await makeLeaf(issuer, pod.names, { uri: [] });
  const connections: LinkerdConnection[] = [];
  const hellos: { sni: string; offered: readonly string[] }[] = [];
  const server = createServer({
    key: await privateKeyPem(leaf),
    cert: leaf.pem + issuer.pem,
    ca: mesh.anchor.pem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    allowHalfOpen: true,
    ...(protocol === undefined
      ? {}
      : {
          ALPNCallback: ({ servername, protocols }: { servername: string; protocols: string[] }) => {
            hellos.push({ sni: servername, offered: protocols });
            return protocol;
          },
        }),
  });
  server.on('secureConnection', (socket) => {
    const hello = hellos.shift() ?? { sni: '', offered: [] };
    const connection = listenTo(socket, hello.sni, hello.offered);
    connections.push(connection);
    onConnection(connection);
  });
  server.listen(0, pod.ip);
  await once(server, 'listening');
  mesh.onClose(() => {
    for (const { socket } of connections) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections };
}

function listenTo(socket: TLSSocket, sni: string, offered: readonly string[]): LinkerdConnection {
  const waiting = new Set<{ n: number; resolve: () => void }>();
  const connection: LinkerdConnection = {
    socket,
    sni,
    offered,
    received: Buffer.alloc(0),
    untilReceived: (n) =>
      new Promise((resolve) => {
        if (connection.received.length >= n) resolve();
        else waiting.add({ n, resolve });
      }),
  };
  socket.on('data', (chunk: Buffer) => {
    connection.received = Buffer.concat([connection.received, chunk]);
    for (const one of waiting) {
      if (connection.received.length < one.n) continue;
      waiting.delete(one);
      one.resolve();
    }
  });
  // A peer may be gone at any time; the test looks at what came.
  socket.on('error', () => {});
  return connection;
}
