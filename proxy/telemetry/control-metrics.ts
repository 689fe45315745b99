import type { Counter, Gauge, Histogram, Labels, Registry } from './registry.ts';

const SECOND_MS = 1_000;
/** ms that a stream which is wanted anew may take to its first message: as long as requests wait for it. */
const FIRST_ANSWER_MS = 1_000;

/** A stream that is not up to date: when it last was, and from when on that counts (ms, monotonic). */
interface Away {
  readonly heardAt: number;
  readonly from: number;
}

/** What is measured of the streams to one service of the control plane. */
export class ControlCells {
  readonly #now: () => number;
  readonly #requests: Counter;
  readonly #succeeded: Counter;
  readonly #failed: Counter;
  readonly #latency: Histogram;
  readonly #live: Gauge;
  readonly #broken: Gauge;
  readonly #away = new Map<object, Away>();

  constructor(registry: Families, labels: Labels, now: () => number) {
    this.#now = now;
    this.#requests = registry.requests.cell(labels);
    this.#succeeded = registry.responses.cell({ ...labels, classification: 'success' });
    this.#failed = registry.responses.cell({ ...labels, classification: 'failure' });
    this.#latency = registry.latency.cell(labels);
    this.#live = registry.live.cell(labels);
    this.#broken = registry.broken.cell(labels);
  }

  /** ms, monotonic. */
  now(): number {
    return this.#now();
  }

  /** Seconds since the control plane was last heard of by the stream that has waited longest; 0: all are up to date. */
  get staleSeconds(): number {
    const now = this.#now();
    let oldest = now;
    for (const { heardAt, from } of this.#away.values()) if (now >= from) oldest = Math.min(oldest, heardAt);
    return (now - oldest) / SECOND_MS;
  }

  /** A stream is being opened. Returns when that was. */
  asked(): number {
    this.#requests.add();
    return this.#now();
  }

  /** Its first message came. */
  answered(askedAt: number): void {
    this.#succeeded.add();
    this.#latency.observe(this.#now() - askedAt);
  }

  /** It ended, before or after it told something. */
  failed(): void {
    this.#failed.add();
  }

  moved(from: Standing, to: Standing): void {
    this.#gauge(from)?.add(-1);
    this.#gauge(to)?.add(1);
  }

  /** What a stream tells is wanted, and it is not there yet. `heardAt`: when it last was; undefined: never. */
  wanted(stream: object, heardAt: number | undefined): void {
    if (this.#away.has(stream)) return;
    const now = this.#now();
    this.#away.set(stream, { heardAt: heardAt ?? now, from: now + FIRST_ANSWER_MS });
  }

  /** A stream that was up to date has ended; what it told is still used. */
  lost(stream: object): void {
    const now = this.#now();
    this.#away.set(stream, { heardAt: now, from: now });
  }

  /** What it told is the present state, or is not used any more. */
  settled(stream: object): void {
    this.#away.delete(stream);
  }

  #gauge(standing: Standing): Gauge | undefined {
    if (standing === 'stopped') return undefined;
    return standing === 'live' ? this.#live : this.#broken;
  }
}

/** `live`: what the stream told is the present state. `broken`: it is being tried. */
export type Standing = 'stopped' | 'live' | 'broken';

type Families = Pick<ControlMetrics, 'requests' | 'responses' | 'latency' | 'live' | 'broken'>;

/** The streams to the control plane: `control_request_total` and its kin by Linkerd's names, and how old what they told is. */
export class ControlMetrics {
  readonly requests;
  readonly responses;
  readonly latency;
  readonly live;
  readonly broken;
  readonly #stale;
  readonly #now: () => number;
  readonly #cells = new Map<string, ControlCells>();

  /** @param now ms, monotonic */
  constructor(registry: Registry, now: () => number) {
    this.#now = now;
    this.requests = registry.counter('control_request_total', 'Streams that were asked for');
    this.responses = registry.counter(
      'control_response_total',
      'Streams that brought a first message, and ends of streams',
    );
    this.latency = registry.histogram(
      'control_response_latency_ms',
      "Milliseconds to a stream's first message",
    );
    this.live = registry.gauge('control_streams_live', 'Streams that are up to date');
    this.broken = registry.gauge(
      'control_streams_broken',
      'Streams that are down: what they told last is still used',
    );
    this.#stale = registry.gauge(
      'control_streams_stale_seconds',
      'Seconds since the control plane was last heard of by the stream that is longest without it; 0 while all that are used are up to date',
    );
    registry.onCollect(() => {
      for (const [service, cells] of this.#cells) this.#stale.cell({ service }).set(cells.staleSeconds);
    });
  }

  /** @param service one of the control plane's */
  cells(service: string): ControlCells {
    const known = this.#cells.get(service);
    if (known !== undefined) return known;
    const made = new ControlCells(this, { service }, this.#now);
    this.#cells.set(service, made);
    return made;
  }
}
