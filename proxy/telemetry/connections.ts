import type { Transport, TransportWatcher } from '../transport/transport.ts';
import type { Registry } from './registry.ts';
import type { TcpCells } from './tcp-metrics.ts';

/** Counts connections and their bytes. The bytes are asked for when metrics are: nothing on the data path. */
export class ConnectionTracker {
  readonly #open = new Set<Tracked>();
  readonly #now: () => number;

  /** @param now ms, monotonic */
  constructor(registry: Registry, now: () => number) {
    this.#now = now;
    registry.onCollect(() => {
      for (const tracked of this.#open) tracked.countBytes();
    });
  }

  get size(): number {
    return this.#open.size;
  }

  track(transport: Transport, cells: TcpCells): void {
    this.#open.add(new Tracked(transport, cells, this.#now(), this));
  }

  /** Ends what is left, at the end of the process. */
  destroyAll(): void {
    for (const { transport } of this.#open) transport.destroy();
  }

  /** One of its connections has closed. */
  closed(tracked: Tracked): void {
    this.#open.delete(tracked);
    tracked.cells.closed(tracked.transport.errorCode, this.#now() - tracked.openedAt);
  }
}

class Tracked implements TransportWatcher {
  readonly transport: Transport;
  readonly cells: TcpCells;
  /** ms. */
  readonly openedAt: number;
  readonly #tracker: ConnectionTracker;
  #read = 0;
  #written = 0;

  constructor(transport: Transport, cells: TcpCells, openedAt: number, tracker: ConnectionTracker) {
    this.transport = transport;
    this.cells = cells;
    this.openedAt = openedAt;
    this.#tracker = tracker;
    transport.watcher = this;
    cells.opened();
  }

  transportClosed(): void {
    this.countBytes();
    this.#tracker.closed(this);
  }

  countBytes(): void {
    const { bytesRead, bytesWritten } = this.transport;
    if (bytesRead > this.#read) this.cells.read(bytesRead - this.#read);
    if (bytesWritten > this.#written) this.cells.wrote(bytesWritten - this.#written);
    this.#read = Math.max(this.#read, bytesRead);
    this.#written = Math.max(this.#written, bytesWritten);
  }
}
