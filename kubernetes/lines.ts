/** Thrown by `splitLines`; carries the limit. */
export class LineTooLongError extends Error {
  readonly maxBytes: number;

  constructor(maxBytes: number) {
    super(`a line is longer than ${maxBytes} bytes`);
    this.name = 'LineTooLongError';
    this.maxBytes = maxBytes;
  }
}

const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines without their newline; empty lines are left out, a last line without a newline is dropped (the
 * stream broke inside it). Throws `LineTooLongError` before a line is held or decoded that passes `maxBytes`.
 */
export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  maxBytes: () => number,
): AsyncGenerator<string> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(NEWLINE, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (heldBytes + piece.length > maxBytes()) throw new LineTooLongError(maxBytes());
      held.push(piece);
      heldBytes += piece.length;
      if (end === -1) break;
      if (heldBytes > 0) yield Buffer.concat(held, heldBytes).toString('utf8');
      held = [];
      heldBytes = 0;
      start = end + 1;
    }
  }
}
