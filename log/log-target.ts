import { closeSync, constants, fstatSync, openSync, write } from 'node:fs';
import { Socket } from 'node:net';
import { toDescriptor, type WriteBytes } from './log-output.ts';

/** What the bytes of a log are written to. */
export interface LogTarget {
  readonly write: WriteBytes;
  /**
   * Goes on in a new file of the same path where the old one was renamed; anything else stays as it is. Throws where it
   * cannot be opened, and goes on in the old one.
   */
  reopen(): void;
  close(): void;
}

/** Opens `stdout`, `stderr`, or the file of that path, which lines are added to. Throws where it cannot be opened. */
export function openLog(file: string): LogTarget {
  const standard = STANDARD.get(file);
  if (standard === undefined) return new LogFile(file);
  return pipe(standard) ?? { write: toDescriptor(standard), reopen() {}, close() {} };
}

class LogFile implements LogTarget {
  readonly #path: string;
  #fd: number;
  /** A helper's thread has the descriptor: closed under it, the number could be another file's by then. */
  #writing = false;
  /** To be closed when the write has ended. */
  #old: number | undefined = undefined;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openFile(path);
  }

  readonly write: WriteBytes = (chunk, start, length, done) => {
    this.#writing = true;
    write(this.#fd, chunk, start, length, null, (error, written) => {
      this.#writing = false;
      if (this.#old !== undefined) closeSync(this.#old);
      this.#old = undefined;
      done(error, written);
    });
  };

  reopen(): void {
    const fd = openFile(this.#path);
    if (!this.#writing || this.#old !== undefined) closeSync(this.#fd);
    else this.#old = this.#fd;
    this.#fd = fd;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, ADDED_TO, LOG_MODE);
  } catch (error) {
    throw new Error(`the log ${path} cannot be opened: ${(error as Error).message}`, { cause: error });
  }
}

/** What the process was started with. */
const STANDARD: ReadonlyMap<string, number> = new Map([
  ['stdout', 1],
  ['stderr', 2],
]);

/**
 * The same pipe, opened anew, written to when it has room. A write that blocks would hold a thread, and with it the end
 * of the process, for as long as nobody reads. Undefined: it is no pipe, or cannot be opened anew.
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
      reopen() {},
      close: () => socket.destroy(),
    };
  } catch {
    return undefined;
  }
}

/** Without O_NONBLOCK a named pipe that nobody reads would hold the process up where it is opened, and a thread with each write; of a file it means nothing. */
const ADDED_TO = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
/** Whoever reads it runs as another user, mostly. */
const LOG_MODE = 0o644;
