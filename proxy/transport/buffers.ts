/**
 * Bytes of the smallest output buffer. An answer of usual size fits; many connections that write in the same turn then
 * touch little memory, where large buffers that all begin at the same cache lines would push each other out.
 */
const SMALLEST = 1024;
/** Sizes of buffers: doubled up to what a connection with a full output holds (512 KiB). Larger ones are made as they are needed. */
const CLASSES = 10;
/**
 * Bytes of idle buffers that are kept in a busy moment. Connections hold a buffer only while bytes are pending, so a
 * few serve all of them; without, bulk would get its buffers from the operating system and give them back, a page fault
 * for every 4 KiB, and the collector would see to them far too late: it judges by the heap.
 */
const MAX_FREE_BYTES = 16 * 1024 * 1024;
/** What is kept of it for the next moment. */
const KEPT_FREE_BYTES = 1024 * 1024;
/** ms between two calls of `trimBuffers`: what has lain idle for so long is not needed by the next moment of a load. */
export const TRIM_EVERY_MS = 500;

const free: Buffer[][] = Array.from({ length: CLASSES }, () => []);
let freeBytes = 0;
/** The fewest since buffers were trimmed: so many have lain idle all the time. */
let leastFreeBytes = 0;
/** Told of every buffer that is forgotten. */
let forgotten: (buffer: Buffer) => void = () => {};

/**
 * From now on `forget` is told of buffers that nobody refers to any more, nor ever will: their memory may go at once.
 * The collector sees to it when its heap has grown, which is far too late.
 */
export function onForgottenBuffer(forget: (buffer: Buffer) => void): void {
  forgotten = forget;
}

/** A buffer of at least `size` bytes; give it back with `recycle`. */
export function takeBuffer(size: number): Buffer {
  const of = classOf(size);
  const list = free[of];
  if (list === undefined) return Buffer.allocUnsafeSlow(size);
  const buffer = list.pop();
  const length = SMALLEST << of;
  if (buffer === undefined) return Buffer.allocUnsafeSlow(length);
  freeBytes -= length;
  if (freeBytes < leastFreeBytes) leastFreeBytes = freeBytes;
  return buffer;
}

/** Forgets buffers that nobody has needed since the last call, the largest first. */
export function trimBuffers(): void {
  let spare = Math.min(leastFreeBytes, freeBytes - KEPT_FREE_BYTES);
  for (const [of, list] of [...free.entries()].toReversed()) {
    const length = SMALLEST << of;
    const n = Math.max(0, Math.min(list.length, Math.floor(spare / length)));
    for (const buffer of list.splice(list.length - n)) forgotten(buffer);
    spare -= n * length;
    freeBytes -= n * length;
  }
  leastFreeBytes = freeBytes;
}

/** Forgets all that is idle. To be called before garbage is collected in a quiet moment: what a load or the warm-up has needed, the next one need not. */
export function forgetBuffers(): void {
  for (const list of free) list.length = 0;
  freeBytes = 0;
  leastFreeBytes = 0;
}

/** Gives a buffer back that nobody refers to any more. */
export function recycle(buffer: Buffer): void {
  const { length } = buffer;
  const of = classOf(length);
  const list = free[of];
  if (list === undefined || length !== SMALLEST << of || freeBytes + length > MAX_FREE_BYTES) {
    forgotten(buffer);
    return;
  }
  list.push(buffer);
  freeBytes += length;
}

/** The class whose buffers have room for `size` bytes. */
function classOf(size: number): number {
  return size <= SMALLEST ? 0 : 32 - Math.clz32((size - 1) >>> 10);
}
