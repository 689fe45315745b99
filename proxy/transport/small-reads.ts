import { copyBytes } from '../bytes/bytes.ts';

/** Bytes of the longest read that is held: a longer one costs more to copy than is won. Requests, and answers without much of a body, are shorter. */
const LONGEST = 2 * 1024;
/**
 * Room for all of one turn: several hundred requests of usual size. It is used from the beginning in each turn, and so
 * far only stays in the processor's cache.
 */
const ROOM = 64 * 1024;

let room: Buffer | undefined;
let used = 0;
/** Reads that lie there. */
let held = 0;

/**
 * A small read of one connection, on its way to the end of the turn. Where many connections are read in one turn, the
 * kernel's and the runtime's code for reading them then runs in one go, and behind it ours for what was read: in turns
 * each pushes the other out of the processor's cache.
 */
export class SmallRead {
  buffer: Buffer | undefined = undefined;
  start = 0;
  end = 0;

  get held(): boolean {
    return this.buffer !== undefined;
  }

  /** Copies `from[0, n)`; `forget` follows. @returns false: it is too long, or there is no room left */
  hold(from: Buffer, n: number): boolean {
    if (n > LONGEST) return false;
    if (held === 0) used = 0;
    if (used + n > ROOM) return false;
    this.buffer = room ??= Buffer.allocUnsafeSlow(ROOM);
    this.start = used;
    used = copyBytes(from, 0, n, this.buffer, used);
    this.end = used;
    held++;
    return true;
  }

  /** It is being handed on: its bytes stay until the next read. */
  forget(): void {
    this.buffer = undefined;
    held--;
  }
}
