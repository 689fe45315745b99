import type { Server, Socket } from 'node:net';

/** What `listen` needs. */
export interface ListenOptions {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Connections that the kernel completes before we accept them. */
  backlog?: number;
  /** A new connection: not reading yet. Its errors are caught; who takes it over hears of them by 'close'. */
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

/** Binds and accepts. Calls back once: with an error that names address and cause, or with the listener. */
export declare function listen(
  options: ListenOptions,
  callback: (error: Error | undefined, listener: Listener | undefined) => void,
): void;
