import type { Socket } from 'node:net';
import type { ConnectionOptions, SecureContext, TLSSocket } from 'node:tls';

/** Where to connect to. */
export interface ConnectOptions {
  host: string;
  port: number;
  /** Source address (our proxies bind the pod's). */
  localAddress?: string;
  /** ms for everything: TCP connect and TLS handshake. */
  timeoutMs: number;
}

/** TLS on top. `secureContext` is the snapshot of the workload's identity: certificate, key, anchors. */
export interface TlsConnectOptions extends ConnectOptions {
  secureContext: SecureContext;
  /** SNI; none when empty. */
  serverName: string;
  alpn: readonly string[];
  /** Judges the peer after the chain has been verified: an error refuses it. */
  verify(socket: TLSSocket): Error | undefined;
  /** More options of `tls.connect` (versions, ciphers). */
  tls?: ConnectionOptions;
}

/** Exactly one call: an error (with its system or TLS code) or a connected socket, to be wrapped in the same turn. */
export type Connected<S extends Socket> = (
  error: NodeJS.ErrnoException | undefined,
  socket: S | undefined,
) => void;

/** Gives up an attempt that is under way; the callback is not called. */
export type CancelConnect = () => void;

export declare function connectPlain(options: ConnectOptions, callback: Connected<Socket>): CancelConnect;

export declare function connectTls(options: TlsConnectOptions, callback: Connected<TLSSocket>): CancelConnect;
