import { BoundSocket, createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { keepAlive, keepAliveOptions } from './keep-alive.ts';
import type { TcpBindings, TcpHandle } from './tcp-bindings.ts';
import { TcpConnection, type Acceptor, type Connection } from './tcp-connection.ts';

/** Connections that the kernel completes before we accept them: bursts of new clients must not be refused. The kernel caps it by somaxconn. */
const DEFAULT_BACKLOG = 4096;

/** What `listen` needs. */
export interface ListenOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  backlog?: number;
  /** Open connections beyond which new ones are closed at once. */
  maxConnections?: number;
  /** One was. */
  onDropped?: () => void;
  /** Without sockets of the runtime's. */
  tcp?: TcpBindings | undefined;
  /** A new connection, not read from yet. Its errors are caught; who takes it over hears of them when it closes. */
  onConnection(connection: Connection): void;
}

/** A bound listening socket. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  readonly server: Server;
  /** Stops accepting; open connections stay. */
  close(): void;
}

/**
 * A socket that is bound to a literal address, for a server to listen on. A server that is given the address itself asks the runtime's resolver and holds what that says against the
 * expression for IPv6, whose compilation is 6 to 10 ms of a start. Throws the system's error.
 */
export function bind(host: string, port: number): BoundSocket {
  // Each family is bound by itself: an address of IPv4 is then never seen in the form of IPv6.
  return new BoundSocket({ host, port, ipv6Only: host.includes(':') });
}

/** Binds and accepts. Calls back once, if binding fails within the call: with an error that names address and cause, or with the listener. */
export function listen(
  options: ListenOptions,
  callback: (error: Error | undefined, listener: Listener | undefined) => void,
): void {
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    pauseOnConnect: true,
    ...keepAliveOptions,
  });
  if (options.maxConnections !== undefined) server.maxConnections = options.maxConnections;
  server.on('drop', () => options.onDropped?.());
  server.on('connection', (socket) => {
    socket.on('error', ignoreError);
    options.onConnection(socket);
  });
  const failed = (error: Error): void => {
    callback(
      new Error(`cannot listen on ${options.host}:${options.port}: ${error.message}`, { cause: error }),
      undefined,
    );
  };
  server.once('error', failed);
  let bound: BoundSocket;
  try {
    bound = bind(options.host, options.port);
  } catch (error) {
    return failed(error as Error);
  }
  server.listen(bound, options.backlog ?? DEFAULT_BACKLOG, () => {
    server.off('error', failed);
    // After binding, errors are of single accepts (too many open files): the server goes on.
    server.on('error', ignoreError);
    // No connection is accepted before the next turn of the event loop.
    if (options.tcp !== undefined) acceptHandles(server, options, options.tcp);
    const { address, port } = server.address() as AddressInfo;
    callback(undefined, { host: address, port, server, close: () => void server.close() });
  });
}

function acceptHandles(server: Server, options: ListenOptions, tcp: TcpBindings): void {
  const acceptor = new HandleAcceptor(options, tcp);
  tcp.takeAccepts(server, (error, handle) => {
    // Too many open files: what came is closed, and the server goes on.
    if (error === 0 && handle !== undefined) acceptor.accept(handle);
  });
}

/** Holds a server's connections to their limit: the runtime counts its own sockets only. */
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
    this.#options.onConnection(new TcpConnection(this.#tcp, handle, this));
  }

  left(): void {
    this.#open--;
  }
}

/** An error is followed by 'close', which the owner handles. */
function ignoreError(): void {}
