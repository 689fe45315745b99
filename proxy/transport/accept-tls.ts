import { TLSSocket } from 'node:tls';
import type { TLSSocketOptions } from 'node:tls';
import { socketOf, type Connection } from './tcp-connection.ts';

/** How one connection is accepted. */
export interface AcceptTlsOptions {
  /** Snapshot of the server's identity, ALPN and demands on client certificates: taken anew for every connection. */
  tls: TLSSocketOptions;
  /** ms for the handshake. */
  timeoutMs: number;
}

/** Exactly one call: an error, or the TLS socket after its handshake, to be wrapped in the same turn. Whom to believe is the caller's to judge. */
export type Accepted = (error: NodeJS.ErrnoException | undefined, socket: TLSSocket | undefined) => void;

/**
 * Runs a server's handshake on a connection, also on a socket whose first bytes were read and put back by `unshift`.
 * Where it fails the connection is closed.
 */
export function acceptTls(connection: Connection, options: AcceptTlsOptions, callback: Accepted): void {
  let settled = false;
  const raw = socketOf(connection);
  const socket = new TLSSocket(raw, { ...options.tls, isServer: true });
  const fail = (error: NodeJS.ErrnoException): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timeout);
    socket.destroy();
    raw.destroy();
    callback(error, undefined);
  };
  const timeout = setTimeout(
    () => fail(withCode(`the TLS handshake took longer than ${options.timeoutMs} ms`, 'ETIMEDOUT')),
    options.timeoutMs,
  );
  // Failures before the handshake's end come as '_tlsError' from a socket without a server, later ones as 'error'.
  socket.on('_tlsError', fail);
  socket.on('error', fail);
  raw.on('error', fail);
  const closed = (): void => fail(withCode('the peer closed during the TLS handshake', 'ECONNRESET'));
  socket.once('close', closed);
  raw.once('close', closed);
  socket.once('end', closed);
  socket.once('secure', () => {
    if (settled) return;
    settled = true;
    clearTimeout(timeout);
    socket.off('end', closed);
    callback(undefined, socket);
  });
}

function withCode(message: string, code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}
