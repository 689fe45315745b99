import type { Socket } from 'node:net';
import type { Registry } from './registry.ts';
import type { TcpCells } from './tcp-metrics.ts';

interface Tracked {
  readonly cells: TcpCells;
  readonly openedAt: number;
  read: number;
  written: number;
}

/** Counts connections and their bytes. The bytes are read from the sockets when metrics are asked for: nothing on the data path. */
export class ConnectionTracker {
  readonly #open = new Map<Socket, Tracked>();
  readonly #now: () => number;

  /** @param now ms, monotonic */
  constructor(registry: Registry, now: () => number) {
    this.#now = now;
    registry.onCollect(() => {
      for (const [socket, tracked] of this.#open) readBytes(socket, tracked);
    });
  }

  get size(): number {
    return this.#open.size;
  }

  track(socket: Socket, cells: TcpCells): void {
    const tracked: Tracked = { cells, openedAt: this.#now(), read: 0, written: 0 };
    this.#open.set(socket, tracked);
    cells.opened();
    let errno = '';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      errno = error.code ?? 'UNKNOWN';
    });
    socket.once('close', () => {
      readBytes(socket, tracked);
      this.#open.delete(socket);
      cells.closed(errno, this.#now() - tracked.openedAt);
    });
  }

  /** Ends what is left, at the end of the process. */
  destroyAll(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }
}

function readBytes(socket: Socket, tracked: Tracked): void {
  const { bytesRead, bytesWritten } = socket;
  if (bytesRead > tracked.read) tracked.cells.read(bytesRead - tracked.read);
  if (bytesWritten > tracked.written) tracked.cells.wrote(bytesWritten - tracked.written);
  tracked.read = Math.max(tracked.read, bytesRead);
  tracked.written = Math.max(tracked.written, bytesWritten);
}
