import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { toDescriptor, type WriteBytes } from './log-output.ts';

/** What the bytes of a log are written to. */
export interface LogTarget {
  readonly write: WriteBytes;
  close(): void;
}

/** Opens `stdout`, `stderr`, or the file of that path, which lines are added to. Throws where it cannot be opened. */
export function openLog(file: string): LogTarget {
  const standard = STANDARD.get(file);
  if (standard !== undefined) return pipe(standard) ?? { write: toDescriptor(standard), close() {} };
  try {
    const fd = openSync(file, 'a', LOG_MODE);
    return { write: toDescriptor(fd), close: () => closeSync(fd) };
  } catch (error) {
    throw new Error(`the log ${file} cannot be opened: ${(error as Error).message}`, { cause: error });
  }
}

/** What the process was started with. */
const STANDARD: ReadonlyMap<string, number> = new Map([
  ['stdout', 1],
  ['stderr', 2],
]);

/**
 * The same pipe, opened anew, written to when it has room. A write that blocks would hold a thread, and with it the end of the process, for as long as nobody reads.
 * Undefined: it is no pipe, or cannot be opened anew.
 */
function pipe(fd: number): LogTarget | undefined {
  try {
    if (!fstatSync(fd).isFIFO()) return undefined;
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    const socket = new Socket({ fd: own, readable: false, writable: true }).unref();
    // Each write is told of its error.
    socket.on('error', () => {});
    return {
      write: (chunk, start, length, done) =>
        void socket.write(chunk.subarray(start, start + length), (error) => done(error ?? null, length)),
      close: () => socket.destroy(),
    };
  } catch {
    return undefined;
  }
}

/** Whoever reads it runs as another user, mostly. */
const LOG_MODE = 0o644;
