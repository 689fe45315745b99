/** A run of bytes: `buffer[start, end)`. */
export interface Span {
  buffer: Buffer;
  start: number;
  end: number;
}

/** Text of a span (Latin-1). */
export function spanText(span: Span): string {
  return span.buffer.toString('latin1', span.start, span.end);
}

/** Points a span at the bytes of `text`. */
export function setSpan(span: Span, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  pointAt(span, bytes, 0, bytes.length);
}

/** Points a span at `buffer[start, end)`. */
export function pointAt(span: Span, buffer: Buffer, start: number, end: number): void {
  span.buffer = buffer;
  span.start = start;
  span.end = end;
}
