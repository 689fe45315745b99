import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectOverTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { keepAlive, keepAliveOptions } from './keep-alive.ts';
import { errorName } from './stream-bindings.ts';
import type { ConnectRequest, TcpBindings, TcpHandle } from './tcp-bindings.ts';
import { TcpConnection, type Connection } from './tcp-connection.ts';

/** Where to connect to. */
export interface ConnectOptions {
  /** A literal address. */
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

/** By TCP alone. */
export interface PlainConnectOptions extends ConnectOptions {
  /** Without a socket of the runtime's. */
  tcp?: TcpBindings | undefined;
}

/** Exactly one call, later than the one that it is given in: an error (with its system or TLS code) or a connection, to be wrapped in the same turn. */
export type Connected<C extends Connection> = (
  error: NodeJS.ErrnoException | undefined,
  connection: C | undefined,
) => void;

/** Gives up an attempt that is under way; the callback is not called. */
export type CancelConnect = () => void;

/** Connects by TCP. */
export function connectPlain(options: PlainConnectOptions, callback: Connected<Connection>): CancelConnect {
  if (options.tcp === undefined) return settle(connectTcp(tcpOptions(options)), 'connect', options, callback);
  const attempt = new TcpAttempt(options.tcp, options, callback);
  return () => attempt.cancel();
}

/** Connects by TCP and TLS; an error also when the snapshot's checks refuse the peer. */
export function connectTls(options: TlsConnectOptions, callback: Connected<TLSSocket>): CancelConnect {
  const { servername, ...tls } = options.tls;
  const socket = connectOverTls({ ...tls, ...tcpOptions(options) }) as NamingSocket;
  if (servername !== undefined) socket.setServername(servername);
  return settle(socket, 'secureConnect', options, callback);
}

/**
 * Of the runtime: what it calls itself with an option `servername`, which it holds against the expression for IPv6
 * before. That is compiled for it in a process's first handshake, which is what a start waits for: 6 to 10 ms. That SNI
 * is no address is the snapshot's business.
 */
interface NamingSocket extends TLSSocket {
  setServername(name: string): void;
}

function tcpOptions(options: ConnectOptions) {
  const { host, port } = options;
  const localAddress = sourceOf(options);
  return {
    host,
    port,
    noDelay: true,
    allowHalfOpen: true,
    ...keepAliveOptions,
    ...(localAddress === undefined ? {} : { localAddress }),
  };
}

/** A source of the other family cannot be bound: a pod with two families then leaves the choice to the kernel. */
function sourceOf({ host, localAddress }: ConnectOptions): string | undefined {
  return localAddress?.includes(':') === host.includes(':') ? localAddress : undefined;
}

/** A connect by a handle alone. */
class TcpAttempt {
  readonly #bindings: TcpBindings;
  readonly #options: ConnectOptions;
  readonly #callback: Connected<Connection>;
  readonly #handle: TcpHandle;
  #timeout: NodeJS.Timeout | undefined = undefined;
  #settled = false;

  constructor(bindings: TcpBindings, options: ConnectOptions, callback: Connected<Connection>) {
    this.#bindings = bindings;
    this.#options = options;
    this.#callback = callback;
    this.#handle = bindings.newHandle();
    const error = this.#start();
    if (error !== 0) queueMicrotask(() => this.#done(error));
    const { timeoutMs } = options;
    if (timeoutMs !== undefined) this.#timeout = expire(timeoutMs, () => this.#fail(expired(options)));
  }

  cancel(): void {
    if (this.#settle()) this.#handle.close();
  }

  /** @returns 0, or the system's error */
  #start(): number {
    const handle = this.#handle;
    const { host, port } = this.#options;
    const source = sourceOf(this.#options);
    const isV6 = host.includes(':');
    if (source !== undefined) {
      const error = isV6 ? handle.bind6(source, 0, 0) : handle.bind(source, 0);
      if (error !== 0) return error;
    }
    const request: ConnectRequest = new this.#bindings.ConnectRequest();
    request.oncomplete = (status) => this.#done(status);
    return isV6 ? handle.connect6(request, host, port) : handle.connect(request, host, port);
  }

  #done(status: number): void {
    const { host, port } = this.#options;
    if (status !== 0) {
      const code = errorName(status);
      return this.#fail(withCode(`connecting to ${host}:${port} failed: ${code}`, code));
    }
    if (!this.#settle()) return;
    this.#handle.setNoDelay(true);
    keepAlive(this.#handle);
    this.#callback(undefined, new TcpConnection(this.#bindings, this.#handle));
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (!this.#settle()) return;
    this.#handle.close();
    this.#callback(error, undefined);
  }

  /** @returns whether it was not settled yet */
  #settle(): boolean {
    clearTimeout(this.#timeout);
    if (this.#settled) return false;
    this.#settled = true;
    return true;
  }
}

/** After a pause of the whole process timers come before what has been received meanwhile: that is looked at first. */
function expire(timeoutMs: number, act: () => void): NodeJS.Timeout {
  return setTimeout(() => setImmediate(act), timeoutMs);
}

function expired({ host, port, timeoutMs }: ConnectOptions): NodeJS.ErrnoException {
  return withCode(`connecting to ${host}:${port} took longer than ${timeoutMs} ms`, 'ETIMEDOUT');
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
  const timeout = timeoutMs === undefined ? undefined : expire(timeoutMs, () => fail(expired(options)));
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
