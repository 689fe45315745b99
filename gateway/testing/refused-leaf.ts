import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { alpn, port } from '../../api/names.ts';
import type { TestPod } from '../../proxy/testing/mesh/test-mesh.ts';
import { type Made, privateKeyPem } from '../../workload-identity/testing/test-ca.ts';

/** Resolves when the other side has closed. */
export function closed(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** Comes to a proxy with a leaf that nobody may have. Resolves when the connection is closed, without an answer. */
export async function refusedLeaf(leaf: Made, issuer: Made, to: TestPod): Promise<void> {
  const socket = connect({
    host: to.ip,
    port: port.inbound,
    key: await privateKeyPem(leaf),
    cert: leaf.pem + issuer.pem,
    rejectUnauthorized: false,
    ALPNProtocols: [alpn.isthmus],
  });
  await closed(socket);
}
