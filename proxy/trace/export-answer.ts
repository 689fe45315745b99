import { BYTES, tagOf, VARINT } from '../../api/proto/wire-format.ts';
import { WireReader } from '../../api/proto/wire-reader.ts';

/** Answers that OTLP calls worth another try. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** Longest wait that a collector may ask for, in ms; spans of longer ago tell nobody much. */
export const MAX_ASKED_MS = 300_000;
const MS_PER_SECOND = 1_000;

/** Of `ExportTraceServiceResponse` and `ExportTracePartialSuccess`. */
const PARTIAL_SUCCESS = tagOf(1, BYTES);
const REJECTED_SPANS = tagOf(1, VARINT);
const ERROR_MESSAGE = tagOf(2, BYTES);

/** A collector's answer over HTTP. */
export interface ExportAnswer {
  readonly status: number;
  /** `Retry-After`; empty: it has none. */
  readonly retryAfter: string;
  readonly body: Buffer;
}

/** What became of one try. */
export type Tried =
  /** `rejected`: so many of the spans it did not take, and will not, for that reason. */
  | { readonly kind: 'taken'; readonly rejected: number; readonly why: string }
  /** `afterMs`: 0 where the collector does not say when. */
  | { readonly kind: 'refused' | 'retry'; readonly why: string; readonly afterMs: number };

/** Judges an answer as OTLP/HTTP has it. @param now ms since the epoch */
export function judge({ status, retryAfter, body }: ExportAnswer, now: number): Tried {
  if (status >= 200 && status < 300) return taken(body);
  const why = `it answers ${status}`;
  if (!RETRYABLE.has(status)) return { kind: 'refused', why, afterMs: 0 };
  return { kind: 'retry', why, afterMs: askedMs(retryAfter, now) };
}

/** RFC 9110 section 10.2.3: seconds, or a date. Anything else would be a date to the runtime's parser, too. */
function askedMs(retryAfter: string, now: number): number {
  let ms = 0;
  if (/^\d+$/.test(retryAfter)) ms = Number(retryAfter) * MS_PER_SECOND;
  else if (retryAfter.endsWith(' GMT')) ms = Date.parse(retryAfter) - now;
  return ms > 0 ? Math.min(ms, MAX_ASKED_MS) : 0;
}

/** A collector may say yes and mean a part. What cannot be read is no part. */
function taken(body: Buffer): Tried {
  try {
    return { kind: 'taken', ...partialSuccess(new WireReader(body)) };
  } catch {
    return ALL_TAKEN;
  }
}

const ALL_TAKEN = { kind: 'taken', rejected: 0, why: '' } as const;

function partialSuccess(reader: WireReader): { rejected: number; why: string } {
  let rejected = 0;
  let message = '';
  while (!reader.done) {
    const tag = reader.uint32();
    if (tag !== PARTIAL_SUCCESS) {
      reader.skip(tag & 7);
      continue;
    }
    const inner = reader.within();
    while (!inner.done) {
      const field = inner.uint32();
      if (field === REJECTED_SPANS) rejected = Number(BigInt.asIntN(64, inner.uint64()));
      else if (field === ERROR_MESSAGE) message = inner.text();
      else inner.skip(field & 7);
    }
  }
  return { rejected: Math.max(0, rejected), why: `it rejects ${rejected} spans: ${message}` };
}
