import type { Cause } from '../errors.ts';
import type { Exchange, Head } from '../message.ts';
import { grpcStatusOf, isFailure } from '../telemetry/classify.ts';
import type { HttpCells } from '../telemetry/http-metrics.ts';
import type { Counter, Family } from '../telemetry/registry.ts';
import { type Inner, StackLayer } from './stack-layer.ts';

/** What the layer keeps of one exchange, in its slot `x.telemetry`. */
class Mark {
  grpcStatus: string | undefined = undefined;
  over = false;
}

export interface TelemetryOptions {
  /** Cells that count a request as it comes in, with its response: by who asks. */
  asked?: (x: Exchange) => HttpCells | undefined;
  /** Cells of the endpoint that it went to, which has counted the request itself; undefined: it went nowhere. */
  went?: (x: Exchange) => HttpCells | undefined;
  /** Count what went nowhere. */
  unplaced?: HttpCells;
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

  constructor(inner: Inner, options: TelemetryOptions) {
    super(inner);
    this.#options = options;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    x.startedAt = this.#options.now();
    x.telemetry = new Mark();
    this.#options.onStart?.();
    if (!x.opaque) this.#options.asked?.(x)?.request();
    super.requestHead(x, head, end);
  }

  override requestReset(x: Exchange, cause: Cause): void {
    this.#end(x, cause.status, true);
    super.requestReset(x, cause);
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    if (head.isFinal && x.status === 0) {
      x.status = head.status;
      x.respondedAt = this.#options.now();
      markOf(x).grpcStatus = grpcStatusOf(head);
    }
    if (end) this.#end(x, x.status, isFailure(x.status, markOf(x).grpcStatus));
    super.responseHead(x, head, end);
  }

  override responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (last) this.#end(x, x.status, isFailure(x.status, markOf(x).grpcStatus));
    super.responseData(x, buffer, start, end, last);
  }

  override responseTrailers(x: Exchange, trailers: Head): void {
    this.#end(x, x.status, isFailure(x.status, grpcStatusOf(trailers) ?? markOf(x).grpcStatus));
    super.responseTrailers(x, trailers);
  }

  override responseReset(x: Exchange, cause: Cause): void {
    this.#options.errors.cell({ error: cause.code }).add();
    this.#end(x, x.status === 0 ? cause.status : x.status, x.status !== 0 || cause.status >= 500);
    super.responseReset(x, cause);
  }

  #end(x: Exchange, status: number, failed: boolean): void {
    const mark = markOf(x);
    if (mark.over) return;
    mark.over = true;
    if (!x.opaque) this.#count(x, status, !failed);
    this.#options.onEnd?.();
  }

  #count(x: Exchange, status: number, success: boolean): void {
    const { asked, went, unplaced, now } = this.#options;
    const latencyMs = now() - x.startedAt;
    asked?.(x)?.response(status, success, latencyMs);
    const cells = went?.(x);
    if (cells !== undefined) cells.response(status, success, latencyMs);
    else if (unplaced !== undefined) {
      unplaced.request();
      unplaced.response(status, success, latencyMs);
    }
  }
}

function markOf(x: Exchange): Mark {
  if (x.telemetry instanceof Mark) return x.telemetry;
  throw new Error('an exchange that did not enter through its telemetry layer');
}
