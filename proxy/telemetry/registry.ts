/**
 * Metrics by interned cells: a layer asks for its cell once, when its stack is put together, and recording is one
 * addition. Label text is made once a series. A series without a record for `RETAIN_IDLE_MS` leaves the exposition; it
 * comes back when its cell, which a stack may still hold, is recorded on again.
 */

/** Most series of one family: label values come from peers and apps, so their number must have an end. What comes later is counted in one overflow series. */
export const MAX_SERIES = 2_000;

/** ms without a record after which a series is dropped: Linkerd's `metrics_retain_idle`. */
export const RETAIN_IDLE_MS = 600_000;

export type Labels = Readonly<Record<string, string>>;

/** One series. `text` writes its lines. */
export abstract class Cell {
  /** `a="1",b="2"`, escaped; empty without labels. */
  readonly labels: string;
  /** Grows with every record. Compared by the sweep, so that recording needs no clock. */
  records = 0;

  constructor(labels: string) {
    this.labels = labels;
  }

  abstract text(name: string): string;
}

/** `{a="1"}` or nothing. */
function braces(labels: string, extra = ''): string {
  if (labels === '') return extra === '' ? '' : `{${extra}}`;
  return extra === '' ? `{${labels}}` : `{${labels},${extra}}`;
}

export class Counter extends Cell {
  value = 0;

  add(n = 1): void {
    this.value += n;
    this.records++;
  }

  override text(name: string): string {
    return `${name}${braces(this.labels)} ${this.value}\n`;
  }
}

export class Gauge extends Cell {
  value = 0;

  set(value: number): void {
    this.value = value;
    this.records++;
  }

  add(n: number): void {
    this.value += n;
    this.records++;
  }

  override text(name: string): string {
    return `${name}${braces(this.labels)} ${this.value}\n`;
  }
}

/** Upper bounds (inclusive) of `response_latency_ms`, in ms: Linkerd's. */
export const LATENCY_BUCKETS: readonly number[] = [
  1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000,
  20_000, 30_000, 40_000, 50_000,
];

export class Histogram extends Cell {
  readonly bounds: readonly number[];
  /** One more than bounds: the last is +Inf. Not cumulative. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(labels: string, bounds: readonly number[] = LATENCY_BUCKETS) {
    super(labels);
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let low = 0;
    let high = this.bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= (this.bounds[middle] ?? Infinity)) high = middle;
      else low = middle + 1;
    }
    this.counts[low] = (this.counts[low] ?? 0) + 1;
    this.sum += value;
    this.records++;
  }

  override text(name: string): string {
    let out = '';
    let total = 0;
    for (let i = 0; i < this.counts.length; i++) {
      total += this.counts[i] ?? 0;
      const bound = this.bounds[i];
      out += `${name}_bucket${braces(this.labels, `le="${bound ?? '+Inf'}"`)} ${total}\n`;
    }
    const labels = braces(this.labels);
    return `${out}${name}_sum${labels} ${this.sum}\n${name}_count${labels} ${total}\n`;
  }
}

interface Series<C extends Cell> {
  cell: C;
  recordsAtSweep: number;
  idleSince: number;
}

/** All series of one name. */
export class Family<C extends Cell = Cell> {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly #make: (labels: string) => C;
  readonly #series = new Map<string, Series<C>>();
  /**
   * Cells that were dropped for being idle, and that a stack may still hold. Each sweep takes back those that have
   * moved.
   */
  readonly #dropped = new Map<string, { ref: WeakRef<C>; records: number }>();

  constructor(name: string, help: string, type: Family['type'], make: (labels: string) => C) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#make = make;
  }

  get size(): number {
    return this.#series.size;
  }

  /** The cell of a label set: the same for the same labels in the same order. */
  cell(labels: Labels = {}): C {
    const key = labelText(labels);
    const known = this.#series.get(key)?.cell ?? this.#takeBack(key);
    if (known !== undefined) return known;
    if (this.#series.size >= MAX_SERIES && key !== OVERFLOW) return this.cell({ overflow: 'true' });
    return this.#add(key, this.#make(key));
  }

  *cells(): IterableIterator<C> {
    for (const series of this.#series.values()) yield series.cell;
  }

  /** Drops series without a record since `retainMs`; gauges stay while they are not 0. @param now ms, monotonic */
  sweep(now: number, retainMs: number): void {
    for (const [key, dropped] of this.#dropped) {
      const cell = dropped.ref.deref();
      if (cell === undefined) this.#dropped.delete(key);
      else if (cell.records !== dropped.records) this.#takeBack(key);
    }
    for (const [key, series] of this.#series) {
      if (series.cell.records !== series.recordsAtSweep || series.idleSince === 0) {
        series.recordsAtSweep = series.cell.records;
        series.idleSince = now;
      } else if (now - series.idleSince >= retainMs && !isHeld(series.cell)) {
        this.#series.delete(key);
        this.#dropped.set(key, { ref: new WeakRef(series.cell), records: series.cell.records });
      }
    }
  }

  #takeBack(key: string): C | undefined {
    const cell = this.#dropped.get(key)?.ref.deref();
    if (cell === undefined) return undefined;
    this.#dropped.delete(key);
    return this.#add(key, cell);
  }

  #add(key: string, cell: C): C {
    this.#series.set(key, { cell, recordsAtSweep: cell.records, idleSince: 0 });
    return cell;
  }
}

/** A gauge is dropped only at 0: any other value is true until it changes. */
function isHeld(cell: Cell): boolean {
  return cell instanceof Gauge && cell.value !== 0;
}

const OVERFLOW = 'overflow="true"';

function labelText(labels: Labels): string {
  let text = '';
  for (const name in labels) {
    const value = labels[name];
    if (value === undefined || value === '') continue;
    text += `${text === '' ? '' : ','}${name}="${escape(value)}"`;
  }
  return text;
}

function escape(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** Values that are read when they are asked for: memory, certificates. */
export type Collector = () => void;

/** All families of a process. */
export class Registry {
  readonly families: Family[] = [];
  readonly #collectors: Collector[] = [];

  counter(name: string, help: string): Family<Counter> {
    return this.#register(new Family(name, help, 'counter', (labels) => new Counter(labels)));
  }

  gauge(name: string, help: string): Family<Gauge> {
    return this.#register(new Family(name, help, 'gauge', (labels) => new Gauge(labels)));
  }

  histogram(name: string, help: string, bounds = LATENCY_BUCKETS): Family<Histogram> {
    return this.#register(new Family(name, help, 'histogram', (labels) => new Histogram(labels, bounds)));
  }

  /** Called before each exposition. */
  onCollect(collector: Collector): void {
    this.#collectors.push(collector);
  }

  collect(): void {
    for (const collector of this.#collectors) collector();
  }

  sweep(now: number, retainMs = RETAIN_IDLE_MS): void {
    for (const family of this.families) family.sweep(now, retainMs);
  }

  #register<C extends Cell>(family: Family<C>): Family<C> {
    if (this.families.some((other) => other.name === family.name))
      throw new Error(`the metric ${family.name} is registered twice`);
    this.families.push(family);
    return family;
  }
}
