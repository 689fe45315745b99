import type { Head } from '../message/head.ts';
import type { Outcome } from '../telemetry/http-metrics.ts';
import { TraceContext } from './context.ts';
import type { RandomIds } from './random-ids.ts';
import { SPAN_ID_AT, SPAN_ID_BYTES, type Span, TRACE_ID_BYTES } from './span.ts';
import { type EndedSpan, SpanEncoder } from './span-encoder.ts';
import type { SpanQueue } from './span-queue.ts';

const SAMPLED = 1;

export interface TracerOptions {
  /** Share of the requests without context that begin a trace, from 0 to 1. */
  sampling: number;
  ids: RandomIds;
  random: () => number;
  queue: Pick<SpanQueue, 'reserve' | 'commit'>;
}

/** Decides which requests are recorded, and records them. */
export class Tracer {
  readonly #options: TracerOptions;
  readonly #context = new TraceContext();
  readonly #encoder = new SpanEncoder();

  constructor(options: TracerOptions) {
    this.#options = options;
  }

  /**
   * A request comes in. When it is to be recorded, `span` gets its ids, and the head says that what follows belongs to
   * it. What is not recorded is passed on as it is.
   * @param mayBegin this is where the request enters the mesh: others have decided before
   * @returns whether it is recorded
   */
  begin(head: Head, span: Span, mayBegin: boolean): boolean {
    const told = this.#context.read(head, span);
    if (told === 'unsampled' || told === 'denied') return false;
    if (told !== 'sampled' && !(mayBegin && this.#chosen())) return false;
    const { ids } = this.#options;
    if (!span.hasParent) ids.write(span.ids, 0, TRACE_ID_BYTES);
    ids.write(span.ids, SPAN_ID_AT, SPAN_ID_BYTES);
    span.flags |= SAMPLED;
    this.#context.write(head, span);
    return true;
  }

  end(span: Span, ended: EndedSpan, outcome: Outcome): void {
    const { queue } = this.#options;
    const room = queue.reserve(this.#encoder.mostBytes(ended));
    if (room !== undefined) queue.commit(this.#encoder.write(room.bytes, room.at, span, ended, outcome));
  }

  #chosen(): boolean {
    const { sampling, random } = this.#options;
    return sampling > 0 && random() < sampling;
  }
}
