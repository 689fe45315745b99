import {
  createBackOff,
  type Call,
  type Clock,
  type GrpcError,
  type StreamHandlers,
  type Timer,
} from '../../workload-identity/index.ts';
import type { ControlCells, Standing } from '../telemetry/control-metrics.ts';

/** ms between attempts: short at first, for a control plane that restarts is back in a second; Linkerd's proxy waits 0 to 100 ms. */
const MIN_BACK_OFF_MS = 50;
const MAX_BACK_OFF_MS = 10_000;

export interface WatchOptions<T> {
  open(handlers: StreamHandlers<T>): Call;
  /** @param first the first message of a new stream: it stands for the whole state */
  message(message: T, first: boolean): void;
  /** The stream ended. True: the answer is final, do not ask again. */
  ended(error: GrpcError | undefined): boolean;
  clock: Clock;
  random: () => number;
  metrics: ControlCells;
}

type WatchState =
  | { kind: 'stopped' }
  | { kind: 'asking'; call: Call }
  | { kind: 'live'; call: Call }
  | { kind: 'backing-off'; timer: Timer };

/** A server stream that is opened again, with a jittered back-off, for as long as it is wanted. */
export class Watch<T> {
  readonly #options: WatchOptions<T>;
  readonly #backOff;
  #state: WatchState = { kind: 'stopped' };
  /** A stream has brought a message since `start`. */
  #told = false;
  /** Events of streams before this one are void. */
  #generation = 0;

  constructor(options: WatchOptions<T>) {
    this.#options = options;
    this.#backOff = createBackOff(MIN_BACK_OFF_MS, MAX_BACK_OFF_MS, options.random);
  }

  get running(): boolean {
    return this.#state.kind !== 'stopped';
  }

  /** The stream stands and what it told is the present state. */
  get live(): boolean {
    return this.#state.kind === 'live';
  }

  start(): void {
    if (this.#state.kind === 'stopped') this.#open();
  }

  stop(): void {
    const state = this.#state;
    this.#generation++;
    this.#told = false;
    this.#options.metrics.settled(this);
    this.#enter({ kind: 'stopped' });
    if (state.kind === 'backing-off') state.timer.cancel();
    else if (state.kind !== 'stopped') state.call.cancel();
  }

  #open(): void {
    const generation = ++this.#generation;
    const { metrics } = this.#options;
    const askedAt = metrics.asked();
    const call = this.#options.open({
      message: (message) => {
        if (generation !== this.#generation) return;
        const first = this.#state.kind === 'asking';
        if (this.#state.kind === 'asking') {
          this.#told = true;
          metrics.answered(askedAt);
          metrics.settled(this);
          this.#enter({ kind: 'live', call: this.#state.call });
        }
        this.#backOff.reset();
        this.#options.message(message, first);
      },
      end: (error) => {
        if (generation === this.#generation) this.#onEnd(error);
      },
    });
    if (generation === this.#generation) this.#enter({ kind: 'asking', call });
  }

  #onEnd(error: GrpcError | undefined): void {
    const generation = ++this.#generation;
    const { metrics } = this.#options;
    metrics.failed();
    if (this.#told) metrics.lost(this);
    this.#enter({ kind: 'stopped' });
    const final = this.#options.ended(error);
    if (generation !== this.#generation) return;
    if (final) return metrics.settled(this);
    const timer = this.#options.clock.after(this.#backOff.next(), () => this.#open());
    this.#enter({ kind: 'backing-off', timer });
  }

  #enter(state: WatchState): void {
    const before = this.#state;
    this.#state = state;
    this.#options.metrics.moved(standingOf(before), standingOf(state));
  }
}

function standingOf({ kind }: WatchState): Standing {
  return kind === 'stopped' || kind === 'live' ? kind : 'broken';
}
