import type { Probe } from '../../api/kubernetes-types.ts';
import type { Clock } from '../clock.ts';
import type { ProbeResult } from './probe.ts';

/** Kubernetes' defaults of a probe's numbers. */
const DEFAULT_PERIOD_SECONDS = 10;
const DEFAULT_SUCCESS_THRESHOLD = 1;
const DEFAULT_FAILURE_THRESHOLD = 3;
/** The first look in between, when `eager`; each next one waits twice as long. */
const FIRST_EAGER_MS = 50;

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
   * Until it has been healthy once, look also between the probes of its period, at doubling distances. Of these only a success counts: thresholds, events
   * and the time of the others stay as they were. A container that needs 200 ms to listen then isn't out of service for a whole period.
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
  /** Wait before the next look in between; undefined when there are none any more. */
  #eagerMs: number | undefined;

  constructor(options: ProberOptions) {
    const { probe, clock, eager, initial } = options;
    this.#options = options;
    this.#periodMs = (probe.periodSeconds ?? DEFAULT_PERIOD_SECONDS) * 1000;
    this.#verdict = initial;
    this.#eagerMs = eager ? FIRST_EAGER_MS : undefined;
    this.#delayMs = (probe.initialDelaySeconds ?? 0) * 1000;
    this.#dueAt = clock.now() + this.#delayMs;
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
    if (result.healthy) this.#eagerMs = undefined;
    this.#schedule(Math.min(this.#dueAt, this.#nextLook()));
  }

  #nextLook(): number {
    const ms = this.#eagerMs;
    if (ms === undefined || ms >= this.#periodMs) return Number.POSITIVE_INFINITY;
    this.#eagerMs = ms * 2;
    return this.#options.clock.now() + ms;
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
