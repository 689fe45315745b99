import { BoundSocket, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { getSystemErrorMessage } from 'node:util';
import { keepAlive, keepAliveOptions } from './keep-alive.ts';
import { errorName } from './stream-bindings.ts';
import type { EndPoint, TcpBindings, TcpHandle, TcpServerHandle } from './tcp-bindings.ts';
import { TcpConnection, type Acceptor, type Connection } from './tcp-connection.ts';

/** Connections that the kernel completes before we accept them: bursts of new clients must not be refused. The kernel caps it by somaxconn. */
const DEFAULT_BACKLOG = 4096;

/** All addresses of IPv4 alone. */
const ANY_IPV4 = '0.0.0.0';

/** What `listen` needs. */
export interface ListenOptions {
  /** A literal address. */
  host: string;
  /** 0: any free port. */
  port: number;
  /**
   * With `::`: all addresses of both families, of IPv4 alone where the kernel has nothing else. Else each family is
   * bound by itself: an address of IPv4 is then never seen in the form of IPv6.
   */
  bothFamilies?: boolean;
  backlog?: number;
  /** Open connections beyond which new ones are closed at once. */
  maxConnections?: number;
  /** One was. */
  onDropped?: () => void;
  /** Without sockets and servers of the runtime's. */
  tcp?: TcpBindings | undefined;
  /**
   * A new connection, not read from yet. Its errors are caught; who takes it over hears of them when it closes.
   * @param open so many are open, this one included
   */
  onConnection(connection: Connection, open: number): void;
}

/** A bound listening socket. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting; open connections stay. */
  close(): void;
}

/** Called once, maybe within the call: with an error that names address and cause, or with the listener. No connection has been accepted by then. */
export type Listened = (error: Error | undefined, listener: Listener | undefined) => void;

/** Binds and accepts. */
export function listen(options: ListenOptions, callback: Listened): void {
  if (options.tcp === undefined) listenBySocket(options, callback);
  else listenByHandle(options, options.tcp, callback);
}

/**
 * By a handle alone. A server of the runtime's has it load what shares one among processes (`node:cluster`,
 * `child_process`, `dgram`) with the first that listens: some ms in the midst of a start.
 */
function listenByHandle(options: ListenOptions, tcp: TcpBindings, callback: Listened): void {
  const { port, backlog = DEFAULT_BACKLOG } = options;
  const acceptor = new HandleAcceptor(options, tcp);
  const newServer = (): TcpServerHandle =>
    tcp.newServer((error, handle) => {
      // Too many open files: what came is closed, and we go on.
      if (error === 0 && handle !== undefined) acceptor.accept(handle);
    });
  const bindTo = (server: TcpServerHandle, host: string): number =>
    host.includes(':')
      ? server.bind6(host, port, options.bothFamilies === true ? 0 : tcp.ipv6Only)
      : server.bind(host, port);
  let handle = newServer();
  let error = bindTo(handle, options.host);
  if (error !== 0 && options.bothFamilies === true) {
    handle.close();
    handle = newServer();
    error = bindTo(handle, ANY_IPV4);
  }
  if (error === 0) error = handle.listen(backlog);
  const local: EndPoint = {};
  if (error === 0) error = handle.getsockname(local);
  if (error !== 0) {
    handle.close();
    return callback(cannotListen(options, systemError(error)), undefined);
  }
  const { address = options.host } = local;
  callback(undefined, { host: address, port: local.port ?? port, close: () => handle.close() });
}

/** By a server of the runtime's. */
function listenBySocket(options: ListenOptions, callback: Listened): void {
  const { host, port, backlog = DEFAULT_BACKLOG } = options;
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    pauseOnConnect: true,
    ...keepAliveOptions,
  });
  if (options.maxConnections !== undefined) server.maxConnections = options.maxConnections;
  server.on('drop', () => options.onDropped?.());
  let open = 0;
  server.on('connection', (socket) => {
    open++;
    socket.on('error', ignoreError);
    socket.once('close', () => open--);
    options.onConnection(socket, open);
  });
  const failed = (error: Error): void => callback(cannotListen(options, error), undefined);
  server.once('error', failed);
  server.once('listening', () => {
    server.off('error', failed);
    // After binding, errors are of single accepts (too many open files): the server goes on.
    server.on('error', ignoreError);
    const { address, port: bound } = server.address() as AddressInfo;
    callback(undefined, { host: address, port: bound, close: () => void server.close() });
  });
  // Without an address the runtime takes all, of the families that there are.
  if (options.bothFamilies === true) return void server.listen({ port, backlog });
  try {
    server.listen(new BoundSocket({ host, port, ipv6Only: host.includes(':') }), backlog);
  } catch (error) {
    failed(error as Error);
  }
}

function systemError(error: number): NodeJS.ErrnoException {
  const code = errorName(error);
  return Object.assign(new Error(`${code}: ${getSystemErrorMessage(error)}`), { code });
}

function cannotListen({ host, port }: ListenOptions, cause: Error): Error {
  return new Error(`cannot listen on ${host}:${port}: ${cause.message}`, { cause });
}

/** Holds a listener's connections to their limit: the runtime counts its own sockets only. */
class HandleAcceptor implements Acceptor {
  readonly #options: ListenOptions;
  readonly #tcp: TcpBindings;
  #open = 0;

  constructor(options: ListenOptions, tcp: TcpBindings) {
    this.#options = options;
    this.#tcp = tcp;
  }

  accept(handle: TcpHandle): void {
    const { maxConnections, onDropped } = this.#options;
    if (maxConnections !== undefined && this.#open >= maxConnections) {
      handle.close();
      onDropped?.();
      return;
    }
    this.#open++;
    handle.setNoDelay(true);
    keepAlive(handle);
    this.#options.onConnection(new TcpConnection(this.#tcp, handle, this), this.#open);
  }

  left(): void {
    this.#open--;
  }
}

/** An error is followed by 'close', which the owner handles. */
function ignoreError(): void {}
