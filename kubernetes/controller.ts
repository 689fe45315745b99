import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { errorMessage, silentLog } from './log.ts';
import type { Log } from './log.ts';
import { WorkQueue } from './workqueue.ts';
import type { WorkQueueOptions } from './workqueue.ts';

/** What a reconcile asks for: nothing more, or to be called again after a while. Throwing asks for a retry with back-off. */
export type Outcome = { kind: 'done' } | { kind: 'after'; ms: number };

/** Thrown by a reconcile for what no retry can heal: only a change of the object can. */
export class TerminalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TerminalError';
  }
}

/** How a reconcile ended, as metrics name it. */
export type ReconcileResult = 'success' | 'requeue_after' | 'error' | 'terminal_error';

/** Counts what a controller does; see `createControllerMetrics`. */
export interface ControllerMetrics {
  /** Writes zeros, so that rates exist before the first error. */
  init(controller: string): void;
  reconciled(controller: string, result: ReconcileResult, seconds: number): void;
  depth(controller: string, length: number): void;
}

export interface ControllerOptions extends WorkQueueOptions {
  name: string;
  /** Brings the world to the desired state for one key. Level-triggered: it is told only that something changed. */
  reconcile: (key: string, signal: AbortSignal) => Promise<Outcome>;
  /** Keys worked on at a time. Default 1. */
  concurrency?: number;
  metrics?: ControllerMetrics;
  logger?: Log;
  clock?: Clock;
}

/** A work queue and its workers. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #queue: WorkQueue;
  readonly #stopping = new AbortController();
  #workers: Promise<void>[] = [];

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.logger ?? silentLog;
    this.#queue = new WorkQueue(options);
    options.metrics?.init(options.name);
  }

  /** Looks at a key soon; one that waits already is looked at once. */
  enqueue(key: string): void {
    this.#queue.add(key);
    this.#options.metrics?.depth(this.#options.name, this.#queue.length);
  }

  /** Looks at a key in `ms`, or sooner if something else asks for it. */
  enqueueAfter(key: string, ms: number): void {
    this.#queue.addAfter(key, ms);
  }

  start(): void {
    if (this.#workers.length > 0) return;
    this.#workers = Array.from({ length: this.#options.concurrency ?? 1 }, () => this.#work());
  }

  /** Takes nothing more; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#queue.shutdown();
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    for (;;) {
      const key = await this.#queue.get();
      if (key === undefined) return;
      this.#options.metrics?.depth(this.#options.name, this.#queue.length);
      await this.#process(key);
      this.#queue.done(key);
    }
  }

  /** The one place where a result turns into what happens to the key. */
  async #process(key: string): Promise<void> {
    const started = this.#clock.now();
    const result = await this.#reconcile(key);
    switch (result.kind) {
      case 'done':
        this.#queue.forget(key);
        this.#count('success', started);
        return;
      case 'after':
        this.#queue.forget(key);
        this.#queue.addAfter(key, result.ms);
        this.#count('requeue_after', started);
        return;
      case 'terminal':
        this.#queue.forget(key);
        this.#count('terminal_error', started);
        this.#log.error({ key, error: errorMessage(result.error) }, 'reconcile failed for good');
        return;
      case 'retry': {
        if (this.#stopping.signal.aborted) return;
        const retryMs = this.#queue.addRateLimited(key);
        this.#count('error', started);
        this.#log.warn(
          { key, retryMs, error: errorMessage(result.error) },
          'reconcile failed; it will be tried again',
        );
        return;
      }
    }
  }

  async #reconcile(key: string): Promise<Outcome | { kind: 'terminal' | 'retry'; error: unknown }> {
    try {
      return await this.#options.reconcile(key, this.#stopping.signal);
    } catch (error) {
      return { kind: error instanceof TerminalError ? 'terminal' : 'retry', error };
    }
  }

  #count(result: ReconcileResult, started: number): void {
    this.#options.metrics?.reconciled(this.#options.name, result, (this.#clock.now() - started) / 1000);
  }
}
