/** Bytes of a trace's id, and of a span's. */
export const TRACE_ID_BYTES = 16;
export const SPAN_ID_BYTES = 8;

/** Where the ids stand in `Span.ids`. */
export const SPAN_ID_AT = TRACE_ID_BYTES;
export const PARENT_ID_AT = SPAN_ID_AT + SPAN_ID_BYTES;
const IDS_BYTES = PARENT_ID_AT + SPAN_ID_BYTES;

/** The longest of what is written into a head: B3 in one field, `{32}-{16}-1-{16}`. */
const FIELD_BYTES = 32 + 1 + 16 + 2 + 1 + 16;

/** One request of a trace, as this process sees it. Used again for other requests. */
export class Span {
  /** The trace's id, the span's, and that of the span that it belongs to. */
  readonly ids = Buffer.alloc(IDS_BYTES);
  hasParent = false;
  /** Of `traceparent`: bit 0 says that it is sampled. */
  flags = 0;
  /** What was written into the head: it stays valid as long as the request. */
  readonly field = Buffer.alloc(FIELD_BYTES);
}
