import type { Probe } from '../../api/kubernetes-types.ts';
import type { Clock } from '../clock.ts';
import type { ProbeResult } from './probe.ts';

/** Kubernetes' defaults of a probe's numbers. */
const DEFAULT_PERIOD_SECONDS = 10;
const DEFAULT_SUCCESS_THRESHOLD = 1;
const DEFAULT_FAILURE_THRESHOLD = 3;
/** ms between looks in between at the least, when `eager`: a look costs a connection. */
const MIN_EAGER_MS = 50;
/** Share of the time since the first probe that passes until the next look in between: by so much later than it could be is a container found ready. */
const EAGER_SHARE = 0.1;

export interface ProberOptions {
  probe: Probe;
  clock: Clock;
  run: () => Promise<ProbeResult>;
  /** Called when a threshold is reached and the verdict changed; for a failure with the last message. */
  onVerdict: (healthy: boolean, message: string) => void;
  /** Called for every probe that failed, before any verdict. */
  onFailure: (message: string) => void;
  /** The verdict before the first result; undefined where either result is news. */
  initial: boolean | undefined;
  /**
   * Until it has been healthy once, look also between the probes of its period, the more seldom the longer it has
   * taken. Of these only a success counts: thresholds, events and the time of the others stay as they were. A container
   * that needs 1.1 s to be ready then isn't out of service for two whole periods.
   */
  eager: boolean;
}

/** Repeats one probe at its period and turns results into verdicts by its thresholds. The next probe starts only when the last has ended. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #periodMs: number;
  readonly #delayMs: number;
  #cancel: (() => void) | undefined;
  #stopped = false;
  #verdict: boolean | undefined;
  #row = 0;
  #last: boolean | undefined;
  /** When the next probe of the period is due. */
  #dueAt: number;
  readonly #firstAt: number;
  /** Looks in between. */
  #eager: boolean;

  constructor(options: ProberOptions) {
    const { probe, clock, eager, initial } = options;
    this.#options = options;
    this.#periodMs = (probe.periodSeconds ?? DEFAULT_PERIOD_SECONDS) * 1000;
    this.#verdict = initial;
    this.#eager = eager;
    this.#delayMs = (probe.initialDelaySeconds ?? 0) * 1000;
    this.#firstAt = clock.now() + this.#delayMs;
    this.#dueAt = this.#firstAt;
    this.#schedule(this.#dueAt);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #schedule(at: number): void {
    const { clock } = this.#options;
    if (this.#stopped) return;
    // A clock that was set back must not stop the probes.
    const ms = Math.min(Math.max(0, at - clock.now()), Math.max(this.#periodMs, this.#delayMs));
    this.#cancel = clock.after(ms, () => void this.#probe());
  }

  async #probe(): Promise<void> {
    const { clock, run } = this.#options;
    const began = clock.now();
    const between = began < this.#dueAt;
    const result = await run();
    if (this.#stopped) return;
    if (!between || result.healthy) {
      this.#dueAt = began + this.#periodMs;
      this.#take(result);
    }
    if (result.healthy) this.#eager = false;
    this.#schedule(Math.min(this.#dueAt, this.#nextLook(began)));
  }

  /** @param began when the last probe did: one that takes long is not run all the time */
  #nextLook(began: number): number {
    if (!this.#eager) return Number.POSITIVE_INFINITY;
    const now = this.#options.clock.now();
    return now + Math.max(MIN_EAGER_MS, (now - this.#firstAt) * EAGER_SHARE, now - began);
  }

  #take(result: ProbeResult): void {
    const { probe, onFailure, onVerdict } = this.#options;
    this.#row = result.healthy === this.#last ? this.#row + 1 : 1;
    this.#last = result.healthy;
    if (!result.healthy) onFailure(result.message);
    const threshold = result.healthy
      ? (probe.successThreshold ?? DEFAULT_SUCCESS_THRESHOLD)
      : (probe.failureThreshold ?? DEFAULT_FAILURE_THRESHOLD);
    if (this.#row < threshold || result.healthy === this.#verdict) return;
    this.#verdict = result.healthy;
    onVerdict(result.healthy, result.healthy ? '' : result.message);
  }
}
