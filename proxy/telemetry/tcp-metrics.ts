import type { Counter, Family, Gauge, Histogram, Labels, Registry } from './registry.ts';

/** Cells of connections with the same labels. */
export class TcpCells {
  readonly #open: Counter;
  readonly #connections: Gauge;
  readonly #read: Counter;
  readonly #write: Counter;
  readonly #families: TcpMetrics;
  readonly #labels: Labels;
  readonly #duration: Histogram;

  constructor(families: TcpMetrics, labels: Labels) {
    this.#families = families;
    this.#labels = labels;
    this.#open = families.open.cell(labels);
    this.#connections = families.connections.cell(labels);
    this.#read = families.read.cell(labels);
    this.#write = families.write.cell(labels);
    this.#duration = families.duration.cell(labels);
  }

  opened(): void {
    this.#open.add();
    this.#connections.add(1);
  }

  /** @param errno empty when both sides had ended */
  closed(errno: string, durationMs: number): void {
    this.#connections.add(-1);
    this.#families.close.cell(errno === '' ? this.#labels : { ...this.#labels, errno }).add();
    this.#duration.observe(durationMs);
  }

  read(bytes: number): void {
    this.#read.add(bytes);
  }

  wrote(bytes: number): void {
    this.#write.add(bytes);
  }
}

/** `tcp_…`: Linkerd's names; label `peer` says whether the other end is the client (`src`) or the server (`dst`). */
export class TcpMetrics {
  readonly open: Family<Counter>;
  readonly connections: Family<Gauge>;
  readonly close: Family<Counter>;
  readonly read: Family<Counter>;
  readonly write: Family<Counter>;
  readonly duration: Family<Histogram>;

  constructor(registry: Registry) {
    this.open = registry.counter('tcp_open_total', 'Connections opened');
    this.connections = registry.gauge('tcp_open_connections', 'Connections open now');
    this.close = registry.counter('tcp_close_total', 'Connections closed');
    this.read = registry.counter('tcp_read_bytes_total', 'Bytes read from the peer');
    this.write = registry.counter('tcp_write_bytes_total', 'Bytes written to the peer');
    this.duration = registry.histogram('tcp_connection_duration_ms', 'Milliseconds that connections lived');
  }

  cells(labels: Labels): TcpCells {
    return new TcpCells(this, labels);
  }
}
