/** Bytes of the smallest output buffer; also what one TLS write of a turn usually needs. */
const CHUNK = 64 * 1024;
/** Sizes of buffers: doubled up to what a connection with a full output holds. Larger ones are made as they are needed. */
const CLASSES = 4;
/**
 * Bytes of idle buffers that are kept. Connections hold a buffer only while bytes are pending, so a few serve all of them; without, bulk would get its buffers from
 * the operating system and give them back, a page fault for every 4 KiB.
 */
const MAX_FREE_BYTES = 4 * 1024 * 1024;

const free: Buffer[][] = Array.from({ length: CLASSES }, () => []);
let freeBytes = 0;

/** A buffer of at least `size` bytes; give it back with `recycle`. */
export function takeBuffer(size: number): Buffer {
  let length = CHUNK;
  for (const list of free) {
    if (size <= length) {
      const buffer = list.pop();
      if (buffer === undefined) return Buffer.allocUnsafeSlow(length);
      freeBytes -= length;
      return buffer;
    }
    length *= 2;
  }
  return Buffer.allocUnsafeSlow(size);
}

/** Gives a buffer back that nobody refers to any more. */
export function recycle(buffer: Buffer): void {
  const { length } = buffer;
  if (freeBytes + length > MAX_FREE_BYTES) return;
  const list = free[Math.log2(length / CHUNK)];
  if (list === undefined) return;
  list.push(buffer);
  freeBytes += length;
}
