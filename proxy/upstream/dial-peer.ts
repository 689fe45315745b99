import type { TLSSocket } from 'node:tls';
import { alpn } from '../../api/names.ts';
import type { ExpectedPeer, WorkloadIdentity } from '../../workload-identity/index.ts';
import type { EndpointIdentity } from '../balance/endpoint.ts';
import { causes, type Cause } from '../errors.ts';
import { connectTls } from '../transport/connect.ts';
import type { Wrap } from '../transport/transport.ts';
import type { Logger } from '../../workload-identity/index.ts';
import type { DialPeer } from './peer.ts';

export interface DialOptions {
  identity: WorkloadIdentity;
  wrap: Wrap;
  /** A connection stands: for metrics. */
  onConnected: (socket: TLSSocket, expected: EndpointIdentity) => void;
  /** Source address of our connections: the pod's, so that policies by network mean something. */
  localAddress: string;
  /** ms for TCP and TLS together. */
  timeoutMs: number;
  log: Logger;
}

/** How to reach the proxy at an address that must prove `expected`: mutual TLS 1.3 with ALPN `isthmus/1`. */
export function peerDialer(
  options: DialOptions,
  address: string,
  port: number,
  expected: EndpointIdentity,
): DialPeer {
  const expect: ExpectedPeer = {};
  if (expected.spiffeId !== undefined) expect.spiffeId = expected.spiffeId;
  if (expected.dnsName !== undefined) expect.dnsName = expected.dnsName;
  return (callback) => {
    const { identity, localAddress, timeoutMs, log } = options;
    const tls = identity.clientOptions({ alpn: [alpn.isthmus], expect });
    if (tls === undefined) {
      queueMicrotask(() => callback(causes.connectFailed, undefined));
      return () => {};
    }
    return connectTls({ host: address, port, localAddress, timeoutMs, tls }, (error, socket) => {
      const refusal = socket === undefined ? error : checkProtocol(socket);
      if (refusal === undefined && socket !== undefined) {
        options.onConnected(socket, expected);
        return callback(undefined, options.wrap(socket));
      }
      socket?.destroy();
      const cause = dialCause(refusal);
      log.info(
        { peer: `${address}:${port}`, expected: expect, error: refusal?.message, code: cause.code },
        'no connection to a peer',
      );
      callback(cause, undefined);
    });
  };
}

function checkProtocol(socket: TLSSocket): NodeJS.ErrnoException | undefined {
  if (socket.alpnProtocol === alpn.isthmus) return undefined;
  return new Error(`the peer took "${String(socket.alpnProtocol)}" where ${alpn.isthmus} is needed`);
}

/** System codes say that nobody is there; everything else is the peer's or our judgement in the handshake. */
function dialCause(error: NodeJS.ErrnoException | undefined): Cause {
  return UNREACHABLE.has(error?.code ?? '') ? causes.connectFailed : causes.peerRefused;
}

const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EMFILE',
]);
