import type { CoreEvent, KubernetesObject } from '../api/kubernetes-types.ts';
import { backoffMs, sleep, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { errorMessage, silentLog } from './log.ts';
import type { Log } from './log.ts';
import { keyOf } from './object-key.ts';
import { resources } from './resources.ts';
import { KubernetesError } from './types.ts';
import type { KubernetesClient } from './types.ts';

export interface EventRecorderOptions {
  /** Source of the events, such as `isthmus-mirror-controller`. */
  component: string;
  /** The pod's name. */
  instance?: string;
  /** Namespace for events about cluster-scoped objects. Default `default`, as in Kubernetes. */
  fallbackNamespace?: string;
  clock?: Clock;
  random?: () => number;
  logger?: Log;
}

/** Tells people what happens to objects. Recording never throws, waits or grows without bound. */
export interface EventRecorder {
  /** Equal events are one with a count. */
  record(about: KubernetesObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** Resolves when nothing waits to be written. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** client-go's spam filter: a burst per object, then one in five minutes. */
const BURST = 25;
const REFILL_MS = 300_000;
/** Equal events within this time share one object (client-go's aggregation interval). */
const AGGREGATE_MS = 600_000;
/** Kinds of event that wait while the API is away; the oldest go first. */
const MAX_WAITING = 1000;
/** Series remembered for counting; one is some 300 bytes. */
const MAX_SERIES = 4096;
/** Tries to write one before it is dropped: with the back-off some three minutes. */
const MAX_TRIES = 12;

/** A recorder that writes in the background through `client`. */
export function createEventRecorder(client: KubernetesClient, options: EventRecorderOptions): EventRecorder {
  return new Recorder(client, options);
}

interface Series {
  event: CoreEvent;
  namespace: string;
  /** As the server has it; undefined before it was written. */
  written: string | undefined;
  lastAt: number;
}

class Recorder implements EventRecorder {
  readonly #client: KubernetesClient;
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, { tokens: number; at: number }>();
  readonly #waiting = new Map<string, Series>();
  readonly #stopping = new AbortController();
  #writing: Promise<void> | undefined;

  constructor(client: KubernetesClient, options: EventRecorderOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.logger ?? silentLog;
  }

  record(about: KubernetesObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#stopping.signal.aborted || !this.#takeToken(about)) return;
    const subject = `${about.kind}/${keyOf(about.metadata?.namespace, about.metadata?.name ?? '')}`;
    const key = [subject, about.metadata?.uid, type, reason, message].join('\n');
    const series = this.#count(key, about, type, reason, message);
    this.#waiting.set(key, series);
    trim(this.#waiting, MAX_WAITING);
    this.#writing ??= this.#write();
  }

  async idle(): Promise<void> {
    await this.#writing;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#writing;
  }

  #takeToken(about: KubernetesObject): boolean {
    const key = `${about.kind}/${keyOf(about.metadata?.namespace, about.metadata?.name ?? '')}`;
    const now = this.#clock.now();
    const bucket = this.#buckets.get(key) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL_MS);
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    trim(this.#buckets, MAX_SERIES);
    return tokens >= 1;
  }

  #count(
    key: string,
    about: KubernetesObject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): Series {
    const now = this.#clock.now();
    const timestamp = new Date(this.#clock.wallNow()).toISOString();
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastAt < AGGREGATE_MS) {
      known.event.count = (known.event.count ?? 0) + 1;
      known.event.lastTimestamp = timestamp;
      known.lastAt = now;
      return known;
    }
    const namespace = about.metadata?.namespace ?? this.#options.fallbackNamespace ?? 'default';
    const event = this.#newEvent(about, namespace, type, reason, message, timestamp);
    const series: Series = { event, namespace, written: undefined, lastAt: now };
    this.#series.set(key, series);
    trim(this.#series, MAX_SERIES);
    return series;
  }

  #newEvent(
    about: KubernetesObject,
    namespace: string,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    timestamp: string,
  ): CoreEvent {
    const { name = '', uid, resourceVersion } = about.metadata ?? {};
    const { component, instance = component } = this.#options;
    const unique = Math.floor((this.#options.random ?? Math.random)() * 2 ** 48).toString(16);
    return {
      metadata: { name: `${name}.${unique}`, namespace },
      involvedObject: {
        ...(about.apiVersion === undefined ? {} : { apiVersion: about.apiVersion }),
        ...(about.kind === undefined ? {} : { kind: about.kind }),
        ...(about.metadata?.namespace === undefined ? {} : { namespace: about.metadata.namespace }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        name,
      },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: timestamp,
      lastTimestamp: timestamp,
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
    };
  }

  async #write(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || this.#stopping.signal.aborted) break;
      const [key, series] = next;
      this.#waiting.delete(key);
      await this.#writeOne(series);
    }
    this.#writing = undefined;
  }

  /** Tries again only what may heal: a server that does not answer or is overloaded. */
  async #writeOne(series: Series): Promise<void> {
    for (let attempt = 1; attempt <= MAX_TRIES; attempt += 1) {
      try {
        await this.#send(series);
        return;
      } catch (error) {
        const code = error instanceof KubernetesError ? error.code : 0;
        if (code === 404 && series.written !== undefined) {
          // Servers drop events after an hour: the series starts anew.
          series.written = undefined;
          continue;
        }
        if (code === 409 && series.written === undefined) {
          // An earlier try made it, and its answer was lost.
          series.written = series.event.metadata?.name;
          continue;
        }
        if (code !== 0 && code !== 429 && code < 500) {
          this.#log.warn({ reason: series.event.reason, error: errorMessage(error) }, 'an event was refused');
          return;
        }
        const bounds = { initialMs: 500, maxMs: 30_000 };
        await sleep(
          this.#clock,
          backoffMs(attempt, bounds, this.#options.random ?? Math.random),
          this.#stopping.signal,
        );
        if (this.#stopping.signal.aborted) return;
      }
    }
  }

  async #send(series: Series): Promise<void> {
    const { event, namespace, written } = series;
    if (written === undefined) {
      await this.#client.create(resources.events, event);
      series.written = event.metadata?.name;
    } else {
      const { count, lastTimestamp } = event;
      await this.#client.mergePatch(resources.events, namespace, written, { count, lastTimestamp });
    }
  }
}

/** Drops the oldest entries of a map until it holds at most `max`. */
function trim(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
