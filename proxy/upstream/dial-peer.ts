import type { TLSSocket } from 'node:tls';
import { alpn } from '../../api/names.ts';
import type { ExpectedPeer, WorkloadIdentity } from '../../workload-identity/index.ts';
import type { EndpointIdentity } from '../balance/endpoint.ts';
import { causes, type Cause } from '../errors.ts';
import { connectTls } from '../transport/connect.ts';
import type { Transport, TransportHandler, Wrap } from '../transport/transport.ts';
import type { Logger } from '../../workload-identity/index.ts';

/** What a peer chose by ALPN. `none`: nothing, as Linkerd's proxy does on an app's own port: HTTP/1.1 or the app's bytes follow. */
export type PeerProtocol = 'isthmus' | 'linkerd' | 'none';

export type Dialled =
  | { readonly kind: 'failed'; readonly cause: Cause }
  /** The peer has proved its identity. The transport needs a handler in the same turn. */
  | { readonly kind: 'connected'; readonly protocol: PeerProtocol; readonly transport: Transport };

/** Makes one mTLS connection. Calls back once. Returns how to give up. */
export type DialPeer = (callback: (dialled: Dialled) => void) => () => void;

export interface DialOptions {
  identity: WorkloadIdentity;
  wrap: Wrap;
  /** A connection stands: for metrics. */
  onConnected: (transport: Transport) => void;
  /** Source address of our connections: the pod's, so that policies by network mean something. */
  localAddress: string;
  /** ms for TCP and TLS together. */
  timeoutMs: number;
  /** Protocols that are offered, by preference. */
  alpn: readonly string[];
  log: Logger;
}

/** How to reach the proxy at an address that must prove `expected`: mutual TLS 1.3, what comes inside by ALPN. */
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
    const tls = identity.clientOptions({ alpn: options.alpn, expect });
    if (tls === undefined) {
      queueMicrotask(() => callback({ kind: 'failed', cause: causes.connectFailed }));
      return () => {};
    }
    return connectTls({ host: address, port, localAddress, timeoutMs, tls }, (error, socket) => {
      if (socket !== undefined) {
        const transport = options.wrap(socket);
        options.onConnected(transport);
        return callback({ kind: 'connected', protocol: chosenProtocol(socket), transport });
      }
      const cause = dialCause(error);
      log.info(
        { peer: `${address}:${port}`, expected: expect, error: error?.message, code: cause.code },
        'no connection to a peer',
      );
      callback({ kind: 'failed', cause });
    });
  };
}

/** OpenSSL ends a handshake in which the server picks what was not offered. */
function chosenProtocol(socket: TLSSocket): PeerProtocol {
  if (socket.alpnProtocol === alpn.isthmus) return 'isthmus';
  return socket.alpnProtocol === alpn.linkerd ? 'linkerd' : 'none';
}

/** Closes a connection that is of no use. */
export function dismiss(transport: Transport): void {
  transport.handler = IGNORING;
  transport.destroy();
}

const IGNORING: TransportHandler = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

/** System codes say that nobody is there, or no longer; everything else is the peer's or our judgement in the handshake. */
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
  'ENFILE',
  // Of a process that ends, connections that it has not accepted yet.
  'ECONNRESET',
  'EPIPE',
]);
