import {
  createBackOff,
  grpcStatus,
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
/**
 * ms that a stream must have told something for the next attempt to come soon. One that ends before each time, as
 * behind a message that cannot be taken, is asked for ever less often.
 */
const SOUND_MS = 10_000;

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
  /** `since`: ms, monotonic. */
  | { kind: 'live'; call: Call; since: number }
  | { kind: 'backing-off'; timer: Timer };

/** A server stream that is opened again, with a jittered back-off, for as long as it is wanted. */
export class Watch<T> {
  readonly #options: WatchOptions<T>;
  readonly #backOff;
  #state: WatchState = { kind: 'stopped' };
  /** ms, monotonic: when a stream was up to date last, or the control plane answered that there is nothing to tell. */
  #heardAt: number | undefined;
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

  /** Asks again at once where it waits to: whoever answers others is there. */
  hurry(): void {
    if (this.#state.kind !== 'backing-off') return;
    this.#state.timer.cancel();
    this.#open();
  }

  stop(): void {
    const state = this.#state;
    this.#generation++;
    this.#options.metrics.settled(this);
    this.#enter({ kind: 'stopped' });
    if (state.kind === 'backing-off') state.timer.cancel();
    else if (state.kind !== 'stopped') state.call.cancel();
  }

  #open(): void {
    const generation = ++this.#generation;
    const { metrics } = this.#options;
    metrics.wanted(this, this.#heardAt);
    const askedAt = metrics.asked();
    const call = this.#options.open({
      message: (message) => {
        if (generation !== this.#generation) return;
        const first = this.#state.kind === 'asking';
        if (this.#state.kind === 'asking') {
          metrics.answered(askedAt);
          metrics.settled(this);
          this.#enter({ kind: 'live', call: this.#state.call, since: metrics.now() });
        }
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
    if (this.#state.kind === 'live') {
      metrics.lost(this);
      if (metrics.now() - this.#state.since >= SOUND_MS) this.#backOff.reset();
    }
    this.#enter({ kind: 'stopped' });
    if (isAnswer(error)) {
      this.#heardAt = metrics.now();
      metrics.settled(this);
    }
    const final = this.#options.ended(error);
    if (generation !== this.#generation) return;
    if (final) return metrics.settled(this);
    const timer = this.#options.clock.after(this.#backOff.next(), () => this.#open());
    this.#enter({ kind: 'backing-off', timer });
  }

  #enter(state: WatchState): void {
    const before = this.#state;
    this.#state = state;
    if (before.kind === 'live') this.#heardAt = this.#options.metrics.now();
    this.#options.metrics.moved(standingOf(before), standingOf(state));
  }
}

function standingOf({ kind }: WatchState): Standing {
  return kind === 'stopped' || kind === 'live' ? kind : 'broken';
}

/** The control plane was there, and said of what was asked that there is nothing to tell. */
function isAnswer(error: GrpcError | undefined): boolean {
  switch (error?.code) {
    case grpcStatus.notFound:
    case grpcStatus.invalidArgument:
    case grpcStatus.failedPrecondition:
    case grpcStatus.unimplemented:
      return true;
    default:
      return false;
  }
}
