import { type Clock, GrpcError, grpcStatus, type Timer } from '../workload-identity/index.ts';
import type { ServerStream } from './server-stream.ts';
import type { Computation, Views, Watch } from './views.ts';

/**
 * How long a client may leave its stream's window closed before the stream is ended, in ms. A proxy reads its streams at once; one that
 * has not for this long hangs, and opens a new stream (with the full state) should it come back.
 */
export const STALL_LIMIT_MS = 60_000;

/**
 * What a change means to a subscriber: messages that lead from what it has been told last, the end of the stream, or a message that is told only if nothing has
 * changed after so many ms.
 */
export type Step<M> = { messages: readonly M[] } | { end: GrpcError } | { afterMs: number; message: M };

export interface StreamDeps {
  views: Views;
  clock: Clock;
  metrics: StreamMetrics;
}

/** What streams report. `method` is the gRPC method's name. */
export interface StreamMetrics {
  opened(method: string): void;
  closed(method: string): void;
  sent(method: string, messages: number): void;
  stalled(method: string): void;
}

export interface StreamedView<T, M> {
  /** Name of the gRPC method, for metrics. */
  method: string;
  /** Opens the watch of what is streamed: a share in a computation, mostly (`Views.watch`). */
  watch: (views: Views, changed: () => void) => Watch<T>;
  /** From the value told last (undefined on a new stream) to the present one. */
  step: (before: T | undefined, after: T) => Step<M>;
}

/** A watch of the one computation of that key. */
export function sharing<T>(
  key: string,
  computation: Computation<T>,
): (views: Views, changed: () => void) => Watch<T> {
  return (views, changed) => views.watch(key, computation, changed);
}

/**
 * Streams a shared value's changes. A subscriber that does not read is told nothing more until it reads again, and then the difference between what it
 * was told and what holds then: so nothing queues up, however slow it is. One that stays stalled is ended with ResourceExhausted.
 */
export function streamView<T, M>(deps: StreamDeps, view: StreamedView<T, M>, stream: ServerStream<M>): void {
  new ViewStream(deps, view, stream).start();
}

type State = { kind: 'flowing' } | { kind: 'blocked'; stall: Timer } | { kind: 'closed' };

class ViewStream<T, M> {
  readonly #deps: StreamDeps;
  readonly #view: StreamedView<T, M>;
  readonly #stream: ServerStream<M>;
  #state: State = { kind: 'flowing' };
  #watch: Watch<T> | undefined;
  /** What the subscriber was told last. */
  #told: T | undefined;
  /** For what is told only if nothing changes. */
  #later: Timer | undefined;

  constructor(deps: StreamDeps, view: StreamedView<T, M>, stream: ServerStream<M>) {
    this.#deps = deps;
    this.#view = view;
    this.#stream = stream;
  }

  start(): void {
    const { method, watch } = this.#view;
    this.#deps.metrics.opened(method);
    this.#watch = watch(this.#deps.views, () => this.#advance());
    this.#stream.onDrain(() => this.#drained());
    this.#stream.onClose(() => this.#close());
    this.#advance();
  }

  #advance(): void {
    const watch = this.#watch;
    if (this.#state.kind !== 'flowing' || watch === undefined || watch.value === this.#told) return;
    const step = this.#view.step(this.#told, watch.value);
    this.#told = watch.value;
    this.#later?.cancel();
    if ('end' in step) {
      this.#stream.fail(step.end);
      this.#close();
    } else if ('afterMs' in step) {
      this.#later = this.#deps.clock.after(step.afterMs, () => this.#send([step.message]));
    } else {
      this.#send(step.messages);
    }
  }

  #send(messages: readonly M[]): void {
    let more = true;
    for (const message of messages) more = this.#stream.write(message);
    this.#deps.metrics.sent(this.#view.method, messages.length);
    if (more || this.#state.kind !== 'flowing') return;
    this.#state = { kind: 'blocked', stall: this.#deps.clock.after(STALL_LIMIT_MS, () => this.#stalled()) };
  }

  #drained(): void {
    if (this.#state.kind !== 'blocked') return;
    this.#state.stall.cancel();
    this.#state = { kind: 'flowing' };
    this.#advance();
  }

  #stalled(): void {
    this.#deps.metrics.stalled(this.#view.method);
    this.#stream.fail(
      new GrpcError(grpcStatus.resourceExhausted, `the stream was not read for ${STALL_LIMIT_MS / 1000} s`),
    );
    this.#close();
  }

  #close(): void {
    if (this.#state.kind === 'closed') return;
    if (this.#state.kind === 'blocked') this.#state.stall.cancel();
    this.#state = { kind: 'closed' };
    this.#later?.cancel();
    this.#watch?.close();
    this.#deps.metrics.closed(this.#view.method);
  }
}
