import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectOverTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';

/** Where to connect to. */
export interface ConnectOptions {
  host: string;
  port: number;
  /** Source address: our proxies bind the pod's, so that policies and metrics by source mean something. */
  localAddress?: string;
  /** ms for everything: TCP connect and TLS handshake. Absent: whoever asked cancels. */
  timeoutMs?: number;
}

/** TLS on top. */
export interface TlsConnectOptions extends ConnectOptions {
  /** Snapshot of the workload's identity: its context, ALPN, SNI, and `checkServerIdentity`, which judges the peer inside the handshake. */
  tls: ConnectionOptions;
}

/** Exactly one call: an error (with its system or TLS code) or a connected socket, to be wrapped in the same turn. */
export type Connected<S extends Socket> = (
  error: NodeJS.ErrnoException | undefined,
  socket: S | undefined,
) => void;

/** Gives up an attempt that is under way; the callback is not called. */
export type CancelConnect = () => void;

/** Connects by TCP. */
export function connectPlain(options: ConnectOptions, callback: Connected<Socket>): CancelConnect {
  const socket = connectTcp(tcpOptions(options));
  return settle(socket, 'connect', options, callback);
}

/** Connects by TCP and TLS; an error also when the snapshot's checks refuse the peer. */
export function connectTls(options: TlsConnectOptions, callback: Connected<TLSSocket>): CancelConnect {
  const { servername, ...tls } = options.tls;
  const socket = connectOverTls({ ...tls, ...tcpOptions(options) }) as NamingSocket;
  if (servername !== undefined) socket.setServername(servername);
  return settle(socket, 'secureConnect', options, callback);
}

/**
 * Of the runtime: what it calls itself with an option `servername`, which it holds against the expression for IPv6 before. That is compiled for it in a process's first handshake, which is
 * what a start waits for: 6 to 10 ms. That SNI is no address is the snapshot's business.
 */
interface NamingSocket extends TLSSocket {
  setServername(name: string): void;
}

function tcpOptions(options: ConnectOptions) {
  const { host, port } = options;
  // A source of the other family cannot be bound: a pod with two families then leaves the choice to the kernel.
  const { localAddress: source } = options;
  const localAddress = source?.includes(':') === host.includes(':') ? source : undefined;
  return {
    host,
    port,
    noDelay: true,
    allowHalfOpen: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  };
}

function settle<S extends Socket>(
  socket: S,
  connected: 'connect' | 'secureConnect',
  options: ConnectOptions,
  callback: Connected<S>,
): CancelConnect {
  let settled = false;
  let lastError: NodeJS.ErrnoException | undefined;
  const { timeoutMs } = options;
  const where = `${options.host}:${options.port}`;
  const fail = (error: NodeJS.ErrnoException): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timeout);
    socket.destroy();
    callback(error, undefined);
  };
  const expired = (): void =>
    fail(withCode(`connecting to ${where} took longer than ${timeoutMs} ms`, 'ETIMEDOUT'));
  // After a pause of the whole process timers come before what has been received meanwhile: that is looked at first.
  const timeout = timeoutMs === undefined ? undefined : setTimeout(() => setImmediate(expired), timeoutMs);
  socket.on('error', (error) => {
    lastError = error;
    fail(error);
  });
  socket.once('close', () => fail(lastError ?? withCode(`${where} closed the connection`, 'ECONNRESET')));
  socket.once(connected, () => {
    if (settled) return;
    settled = true;
    clearTimeout(timeout);
    callback(undefined, socket);
  });
  return () => {
    if (settled) return;
    settled = true;
    clearTimeout(timeout);
    socket.destroy();
  };
}

function withCode(message: string, code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}
