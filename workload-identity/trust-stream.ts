import { methods } from '../api/proto/methods.ts';
import { type BackOff, type Clock, createBackOff, type Timer } from './clock.ts';
import type { GrpcError } from './grpc-error.ts';
import type { BidiCall, Channel } from './grpc-types.ts';
import type { TrustStore } from './trust-store.ts';
import type { Logger } from './types.ts';

/** ms between attempts to open the stream. */
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 30_000;

type State =
  | { kind: 'off' }
  /** `heard`: it has told a bundle, and tells the next as soon as there is one. */
  | { kind: 'open'; call: Sync; heard: boolean }
  | { kind: 'waiting'; timer: Timer };
type Sync = BidiCall<{ sequence: bigint; namespace: string; workload: string; error: string }>;

/** Keeps the trust-bundle stream open, puts each bundle into use, and says so. */
export class TrustStream {
  readonly #options: TrustStreamOptions;
  readonly #backOff: BackOff;
  #state: State = { kind: 'off' };
  /** Monotonic ms: when the stream was up to date last, or was started. */
  #heardAt = 0;

  constructor(options: TrustStreamOptions) {
    this.#options = options;
    this.#backOff = createBackOff(RETRY_MIN_MS, RETRY_MAX_MS, options.random);
  }

  /** Opens the stream where it is not open or about to be. */
  start(): void {
    if (this.#state.kind !== 'off') return;
    this.#heardAt = this.#options.clock.monotonic();
    this.#open();
  }

  /** Seconds since the stream was up to date last; 0 while it is, or is not wanted. */
  get staleSeconds(): number {
    if (this.#state.kind === 'off' || (this.#state.kind === 'open' && this.#state.heard)) return 0;
    return (this.#options.clock.monotonic() - this.#heardAt) / 1000;
  }

  stop(): void {
    const before = this.#state;
    this.#state = { kind: 'off' };
    if (before.kind === 'open') before.call.cancel();
    if (before.kind === 'waiting') before.timer.cancel();
  }

  #open(): void {
    const { channel, store } = this.#options;
    const call: Sync = channel.bidiStream(methods.syncTrustBundles, {
      message: ({ sequence, anchors }) => this.#onBundle(call, sequence, anchors),
      end: (error) => this.#onEnd(call, error),
    });
    this.#state = { kind: 'open', call, heard: false };
    this.#acknowledge(call, store.snapshot?.sequence ?? 0n, '');
  }

  #onBundle(call: Sync, sequence: bigint, anchors: Uint8Array[]): void {
    const { store, logger } = this.#options;
    if (this.#state.kind === 'open') this.#state.heard = true;
    this.#backOff.reset();
    store.streamLive = true;
    try {
      store.applyBundle(sequence, anchors);
      this.#acknowledge(call, sequence, '');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      logger.error(
        { sequence: Number(sequence), error: message },
        'a trust bundle was refused; the former stays in use',
      );
      this.#acknowledge(call, store.snapshot?.sequence ?? 0n, message);
    }
  }

  #onEnd(call: Sync, error: GrpcError | undefined): void {
    if (this.#state.kind !== 'open' || this.#state.call !== call) return;
    const { store, logger, clock } = this.#options;
    if (this.#state.heard) this.#heardAt = clock.monotonic();
    store.streamLive = false;
    const delay = this.#backOff.next();
    logger.debug({ error: error?.message, retryInMs: Math.round(delay) }, 'the trust bundle stream ended');
    this.#state = { kind: 'waiting', timer: clock.after(delay, () => this.#open()) };
  }

  #acknowledge(call: Sync, sequence: bigint, error: string): void {
    const { namespace, workload } = this.#options;
    call.send({ sequence, namespace, workload, error });
  }
}

export interface TrustStreamOptions {
  channel: Channel;
  store: TrustStore;
  /** Namespace and name of the own pod. */
  namespace: string;
  workload: string;
  logger: Logger;
  clock: Clock;
  random?: (() => number) | undefined;
}
