/**
 * Bytes of the smallest output buffer. An answer of usual size fits; many connections that write in the same turn then touch little memory, where large buffers that
 * all begin at the same cache lines would push each other out.
 */
const SMALLEST = 2 * 1024;
/** Sizes of buffers: doubled up to what a connection with a full output holds (512 KiB). Larger ones are made as they are needed. */
const CLASSES = 9;
/**
 * Bytes of idle buffers that are kept. Connections hold a buffer only while bytes are pending, so a few serve all of them; without, bulk would get its buffers from
 * the operating system and give them back, a page fault for every 4 KiB.
 */
const MAX_FREE_BYTES = 4 * 1024 * 1024;

const free: Buffer[][] = Array.from({ length: CLASSES }, () => []);
let freeBytes = 0;

/** A buffer of at least `size` bytes; give it back with `recycle`. */
export function takeBuffer(size: number): Buffer {
  const of = classOf(size);
  const list = free[of];
  if (list === undefined) return Buffer.allocUnsafeSlow(size);
  const buffer = list.pop();
  const length = SMALLEST << of;
  if (buffer === undefined) return Buffer.allocUnsafeSlow(length);
  freeBytes -= length;
  return buffer;
}

/** Gives a buffer back that nobody refers to any more. */
export function recycle(buffer: Buffer): void {
  const { length } = buffer;
  if (freeBytes + length > MAX_FREE_BYTES) return;
  const of = classOf(length);
  const list = free[of];
  if (list === undefined || length !== SMALLEST << of) return;
  list.push(buffer);
  freeBytes += length;
}

/** The class whose buffers have room for `size` bytes. */
function classOf(size: number): number {
  return size <= SMALLEST ? 0 : 32 - Math.clz32((size - 1) >>> 11);
}
