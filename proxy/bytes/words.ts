/** Looks at four bytes at a time: a loop over the bytes of a head, one by one, costs as much as everything else that is done with it. */

const ONES = 0x01010101;
const HIGH_BITS = 0x80808080;

/** The two buffers that were looked at last, the later one first: nearly all heads come in the one that is read into, or in the one where reads wait. */
let viewed: Buffer = Buffer.alloc(0);
let words = new DataView(viewed.buffer, viewed.byteOffset, 0);
let viewedBefore = viewed;
let wordsBefore = words;

/** The words of a buffer, at any offset. */
export function wordsOf(buffer: Buffer): DataView {
  return buffer === viewed ? words : wordsOfOther(buffer);
}

function wordsOfOther(buffer: Buffer): DataView {
  const known = buffer === viewedBefore ? wordsBefore : undefined;
  viewedBefore = viewed;
  wordsBefore = words;
  viewed = buffer;
  words = known ?? new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  return words;
}

/** Index of the first `byte` in `buffer[start, end)`; `end` when there is none. */
export function indexOfByte(buffer: Buffer, byte: number, start: number, end: number): number {
  const view = wordsOf(buffer);
  const pattern = Math.imul(byte, ONES);
  let i = start;
  for (; i + 4 <= end; i += 4) {
    // A byte of x is 0 where the one that is looked for stands; the subtraction carries into its highest bit.
    const x = view.getInt32(i, true) ^ pattern;
    if (((x - ONES) & ~x & HIGH_BITS) !== 0) break;
  }
  while (i < end && buffer[i] !== byte) i++;
  return i;
}

/** Hash of all bytes of `buffer[start, end)`, of which there are at least four. */
export function hashBytes(buffer: Buffer, start: number, end: number): number {
  const view = wordsOf(buffer);
  let hash = end - start;
  for (let i = start; i + 4 <= end; i += 4) hash = mixed(hash, view.getInt32(i, true));
  hash = mixed(hash, view.getInt32(end - 4, true));
  return hash ^ (hash >>> 8);
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1);
  return product ^ (product >>> 15);
}
