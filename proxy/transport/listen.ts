import { BoundSocket, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

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
  /** A new connection, not read from yet. Its errors are caught; who takes it over hears of them by 'close'. */
  onConnection(socket: Socket): void;
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
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
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
    const { address, port } = server.address() as AddressInfo;
    callback(undefined, { host: address, port, server, close: () => void server.close() });
  });
}

/** An error is followed by 'close', which the owner handles. */
function ignoreError(): void {}
