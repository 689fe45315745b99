import { type Cause, toldStatus } from '../errors.ts';
import type { Head } from '../message/head.ts';
import { passesReset, type Exchange } from '../message/message.ts';
import { grpcCodeOf, isFailure, NO_GRPC_STATUS } from '../telemetry/classify.ts';
import type { HttpCells, Outcome } from '../telemetry/http-metrics.ts';
import type { Observed, RequestObserver } from '../telemetry/observer.ts';
import type { Counter, Family } from '../telemetry/registry.ts';
import type { RouteCells } from '../telemetry/route-metrics.ts';
import { type Inner, StackLayer } from './stack-layer.ts';

export interface TelemetryOptions {
  /** Cells that count a request as it comes in, with its response: by who asks. */
  asked?: (x: Exchange) => HttpCells | undefined;
  /** Cells of where it went, which have counted the request by then; undefined: it went nowhere. */
  went?: (x: Exchange) => HttpCells | undefined;
  /** Count what went nowhere. */
  unplaced?: () => HttpCells;
  /** Cells of its route. */
  routed?: (x: Exchange) => RouteCells | undefined;
  /** Follows single requests: access log, traces. Absent: nobody wants that. */
  observer?: RequestObserver | undefined;
  errors: Family<Counter>;
  /** ms, monotonic. */
  now: () => number;
  /** Requests that entered and left, for drains and idle expiry. */
  onStart?: () => void;
  onEnd?: () => void;
}

/** Counts requests and responses and measures their time. Outermost: it sees also what the layers inside answer by themselves. */
export class TelemetryLayer extends StackLayer {
  readonly #options: TelemetryOptions;
  readonly #outcome: Outcome = {
    status: 0,
    success: true,
    latencyMs: 0,
    grpcStatus: NO_GRPC_STATUS,
    error: '',
  };

  constructor(inner: Inner, options: TelemetryOptions) {
    super(inner);
    this.#options = options;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    const { now, observer, onStart, asked } = this.#options;
    x.startedAt = now();
    x.grpcStatus = NO_GRPC_STATUS;
    onStart?.();
    if (!x.opaque) {
      asked?.(x)?.request();
      if (observer !== undefined) x.observed = observer.begin(x, head);
    }
    super.requestHead(x, head, end);
  }

  override requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const observed = observedOf(x);
    if (observed !== undefined) observed.requestBytes += end - start;
    super.requestData(x, buffer, start, end, last);
  }

  override requestReset(x: Exchange, cause: Cause): void {
    this.#end(x, cause.status, true, NO_GRPC_STATUS, cause.code);
    super.requestReset(x, cause);
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    if (head.isFinal && x.status === 0) {
      x.status = head.status;
      x.grpcStatus = grpcCodeOf(head);
    }
    if (end) this.#whole(x, x.grpcStatus);
    super.responseHead(x, head, end);
  }

  override responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const observed = observedOf(x);
    if (observed !== undefined) observed.responseBytes += end - start;
    if (last) this.#whole(x, x.grpcStatus);
    super.responseData(x, buffer, start, end, last);
  }

  override responseTrailers(x: Exchange, trailers: Head): void {
    const told = grpcCodeOf(trailers);
    this.#whole(x, told === NO_GRPC_STATUS ? x.grpcStatus : told);
    super.responseTrailers(x, trailers);
  }

  override responseReset(x: Exchange, cause: Cause): void {
    this.#options.errors.cell({ error: cause.code }).add();
    if (x.status === 0 && !passesReset(x, cause)) {
      const { status, grpcStatus = NO_GRPC_STATUS } = toldStatus(cause, x.grpc);
      this.#end(x, status, isFailure(status, grpcStatus), grpcStatus, cause.code);
    } else this.#end(x, x.status || cause.status, true, NO_GRPC_STATUS, cause.code);
    super.responseReset(x, cause);
  }

  /** The response came to its end. */
  #whole(x: Exchange, grpcStatus: number): void {
    this.#end(x, x.status, isFailure(x.status, grpcStatus), grpcStatus, '');
  }

  #end(x: Exchange, status: number, failed: boolean, grpcStatus: number, error: string): void {
    if (x.counted) return;
    x.counted = true;
    if (!x.opaque) {
      const outcome = this.#outcome;
      outcome.status = status;
      outcome.success = !failed;
      outcome.latencyMs = this.#options.now() - x.startedAt;
      outcome.grpcStatus = grpcStatus;
      outcome.error = error;
      this.#count(x, outcome);
      const observed = observedOf(x);
      // What still comes of the request must not count for another one.
      x.observed = undefined;
      if (observed !== undefined) observed.end(x, outcome);
    }
    this.#options.onEnd?.();
  }

  #count(x: Exchange, outcome: Outcome): void {
    const { asked, went, unplaced, routed } = this.#options;
    asked?.(x)?.response(outcome);
    routed?.(x)?.response(outcome);
    const cells = went?.(x);
    if (cells !== undefined) cells.response(outcome);
    else if (unplaced !== undefined) {
      const nowhere = unplaced();
      nowhere.request();
      nowhere.response(outcome);
    }
  }
}

/** Who follows the request; undefined: nobody does. */
function observedOf(x: Exchange): Observed | undefined {
  return x.observed as Observed | undefined;
}
