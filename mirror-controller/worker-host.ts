import { Worker } from 'node:worker_threads';
import { backoffMs } from '../kubernetes/clock.ts';
import type { Clock, Timer } from '../kubernetes/clock.ts';
import { errorMessage } from '../kubernetes/log.ts';
import type { Log } from '../kubernetes/log.ts';
import type { FromWorker, LinkReport, LinkWorkerData, ToWorker } from './messages.ts';

export interface WorkerHostOptions {
  /** Asked for at each start, so that a restart takes the newest. */
  data: () => LinkWorkerData;
  /** Heap of the thread, in MiB. */
  heapMiB: number;
  onReport: (report: LinkReport) => void;
  /** The thread died, with a sentence why; it is started again after a while. */
  onCrash: (why: string) => void;
  clock: Clock;
  random: () => number;
  logger: Log;
  /** Milliseconds. Default 1,000 to 60,000. */
  backoff?: { initialMs: number; maxMs: number };
  /** Default `link-worker.ts`. */
  entry?: URL;
}

type State =
  | { kind: 'running'; worker: Worker; since: number; exited: Promise<void> }
  | { kind: 'backing-off'; timer: Timer }
  | { kind: 'stopped' };

const DEFAULT_BACKOFF = { initialMs: 1000, maxMs: 60_000 };
/** A thread that ran this long was well: its next crash is a first one again. */
const HEALTHY_MS = 60_000;
/** A thread tells each 5 s that it lives; one whose loop stands still this long is taken for hung. */
const SILENCE_MS = 30_000;
/** Time to end by itself until it is terminated. */
const STOP_MS = 3000;

/** Keeps one worker thread running: limited, watched, and started again with back-off when it dies. */
export class WorkerHost {
  readonly #options: WorkerHostOptions;
  #state: State = { kind: 'stopped' };
  #crashes = 0;
  #heardAt = 0;
  #watchdog: Timer | undefined;

  constructor(options: WorkerHostOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#state.kind === 'stopped') this.#launch();
  }

  /** Dropped while the thread is down: it gets the newest of everything when it starts. */
  send(message: ToWorker): void {
    if (this.#state.kind === 'running') this.#state.worker.postMessage(message, []);
  }

  /** Resolves when the thread has ended. */
  async stop(): Promise<void> {
    const state = this.#state;
    this.#state = { kind: 'stopped' };
    this.#watchdog?.cancel();
    if (state.kind === 'backing-off') state.timer.cancel();
    if (state.kind !== 'running') return;
    state.worker.postMessage({ kind: 'stop' } satisfies ToWorker, []);
    const deadline = this.#options.clock.after(STOP_MS, () => void state.worker.terminate());
    await state.exited;
    deadline.cancel();
  }

  #launch(): void {
    const data = this.#options.data();
    let worker: Worker;
    try {
      worker = this.#newThread(data);
    } catch (error) {
      // The system gives no more threads, for one. Later it may.
      this.#options.logger.error(
        { error: error instanceof Error ? error.stack : errorMessage(error) },
        'a link worker can not be begun',
      );
      this.#backOff(errorMessage(error), 0);
      return;
    }
    this.#run(worker);
  }

  #newThread(workerData: LinkWorkerData): Worker {
    const { heapMiB, entry = new URL('link-worker.ts', import.meta.url) } = this.#options;
    return new Worker(entry, { workerData, resourceLimits: { maxOldGenerationSizeMb: heapMiB } });
  }

  #run(worker: Worker): void {
    const { clock } = this.#options;
    let why = 'the thread ended';
    worker.on('message', (message: FromWorker) => {
      this.#heardAt = clock.now();
      if (message.kind === 'report' && this.#isCurrent(worker)) this.#options.onReport(message.report);
    });
    worker.on('error', (error) => {
      why = errorMessage(error);
    });
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        resolve();
        this.#exited(worker, why);
      });
    });
    this.#heardAt = clock.now();
    this.#state = { kind: 'running', worker, since: clock.now(), exited };
    this.#watch(worker);
  }

  #watch(worker: Worker): void {
    const { clock, logger } = this.#options;
    this.#watchdog = clock.after(SILENCE_MS, () => {
      if (clock.now() - this.#heardAt < SILENCE_MS) this.#watch(worker);
      else {
        logger.error({}, 'a link worker hangs and is terminated');
        void worker.terminate();
      }
    });
  }

  #exited(worker: Worker, why: string): void {
    if (!this.#isCurrent(worker) || this.#state.kind !== 'running') return;
    this.#watchdog?.cancel();
    this.#backOff(why, this.#options.clock.now() - this.#state.since);
  }

  /** @param ranMs so long the thread ran */
  #backOff(why: string, ranMs: number): void {
    const { clock, random, logger, backoff = DEFAULT_BACKOFF } = this.#options;
    this.#crashes = ranMs >= HEALTHY_MS ? 1 : this.#crashes + 1;
    const ms = backoffMs(this.#crashes, backoff, random);
    const timer = clock.after(ms, () => this.#launch());
    this.#state = { kind: 'backing-off', timer };
    logger.error({ error: why, crashes: this.#crashes, retryMs: Math.round(ms) }, 'a link worker died');
    this.#options.onCrash(why);
  }

  #isCurrent(worker: Worker): boolean {
    return this.#state.kind === 'running' && this.#state.worker === worker;
  }
}
