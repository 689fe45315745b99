/** Bytes up to which a loop copies faster than a call into the runtime. */
const SHORT = 64;

/** Copies `from[start, end)` to `to` at `at`. @returns where the next bytes go */
export function copyBytes(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  if (end - start > SHORT) return at + from.copy(to, at, start, end);
  let o = at;
  // Sums that stay within 32 bits: V8 then does not look at each step whether one has left them, which is a fifth of
  // the loop.
  for (let i = start; i < end; i = (i + 1) | 0) {
    to[o] = from[i] ?? 0;
    o = (o + 1) | 0;
  }
  return o;
}

/** Is `buffer[start, end)` exactly `text`? */
export function equalBytes(buffer: Buffer, start: number, end: number, text: Buffer): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (buffer[start + i] !== text[i]) return false;
  return true;
}
