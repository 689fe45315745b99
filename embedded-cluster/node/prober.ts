import type { Probe } from '../../api/kubernetes-types.ts';
import type { Clock } from '../clock.ts';
import type { ProbeResult } from './probe.ts';

/** Kubernetes' defaults of a probe's numbers. */
const DEFAULT_PERIOD_SECONDS = 10;
const DEFAULT_SUCCESS_THRESHOLD = 1;
const DEFAULT_FAILURE_THRESHOLD = 3;

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
}

/** Repeats one probe at its period and turns results into verdicts by its thresholds. The next probe starts only when the last has ended. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #periodMs: number;
  #cancel: (() => void) | undefined;
  #stopped = false;
  #verdict: boolean | undefined;
  #row = 0;
  #last: boolean | undefined;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#periodMs = (options.probe.periodSeconds ?? DEFAULT_PERIOD_SECONDS) * 1000;
    this.#verdict = options.initial;
    this.#schedule((options.probe.initialDelaySeconds ?? 0) * 1000);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #schedule(ms: number): void {
    if (!this.#stopped) this.#cancel = this.#options.clock.after(ms, () => void this.#probe());
  }

  async #probe(): Promise<void> {
    const began = this.#options.clock.now();
    const result = await this.#options.run();
    if (this.#stopped) return;
    this.#take(result);
    this.#schedule(Math.max(0, began + this.#periodMs - this.#options.clock.now()));
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
