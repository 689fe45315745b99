import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';

export interface AcceptTlsOptions {
  /** The server's identity and anchors now; asked for every connection, so that a renewed identity counts at once. */
  secureContext(): SecureContext;
  /** Protocols in the server's order of preference. A client that offers none of them is served without ALPN when `alpnRequired` is false. */
  alpn: readonly string[];
  /** Ask for a client certificate and refuse one that does not chain to an anchor. */
  clientCertificate: 'required' | 'optional';
  /** ms for the handshake. */
  timeoutMs: number;
}

/** Accepts TLS on raw sockets (also such that bytes were read from and put back by `socket.unshift`). */
export declare class TlsAcceptor {
  constructor(options: AcceptTlsOptions);
  /** Exactly one call: an error or the TLS socket after its handshake, to be wrapped in the same turn. */
  accept(
    socket: Socket,
    callback: (error: NodeJS.ErrnoException | undefined, tls: TLSSocket | undefined) => void,
  ): void;
}
