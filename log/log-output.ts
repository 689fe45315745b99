import { write, writeSync } from 'node:fs';

/** Bytes that are worth a write of their own: what is less waits for more, at most `FLUSH_MS`. */
const BATCH_BYTES = 16 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** Chunks that wait for an output that does not take them: 1 MiB. What comes then is dropped, for nobody's requests wait for a log. */
const MAX_CHUNKS = 16;
/** ms that a line waits for others. */
const FLUSH_MS = 100;
/** ms until an output that is full is tried again. */
const RETRY_MS = 100;
/** ms that the end of the process waits for an output. */
const CLOSE_MS = 1_000;
const NEW_LINE = Buffer.from('\n');
/** ms; any time would do. */
const KEEP_ALIVE_MS = 1_000;

/** Writes bytes somewhere, without holding the caller up: the callback of `fs.write`. */
export type WriteBytes = (
  chunk: Buffer,
  start: number,
  length: number,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void;

/** Calls back once after so many ms, and does not keep the process for that. Returns what takes it back. */
export type After = (ms: number, fire: () => void) => () => void;

const realTime: After = (ms, fire) => {
  const timeout = setTimeout(fire, ms).unref();
  return () => clearTimeout(timeout);
};

export interface LogOutputOptions {
  write: WriteBytes;
  /** Real time by default. */
  after?: After;
  /** A line does not wait for others: they are few, and somebody watches. */
  eager?: boolean;
  /** Lines for which there was no room, or that could not be written. */
  onDropped: (lines: number) => void;
  /** The output refuses bytes: once until it takes some again. What was to be written is dropped. */
  onError: (error: Error) => void;
}

interface Chunk {
  readonly bytes: Buffer;
  length: number;
  lines: number;
}

/**
 * Lines on their way to a file or a pipe: collected, and written in batches, one write at a time. An output whose
 * reader is slow holds nobody up: what it does not take waits, up to a bound.
 */
export class LogOutput {
  readonly #options: LogOutputOptions;
  readonly #after: After;
  /** Calls off the write that was to come soon. */
  #unplan: (() => void) | undefined;
  readonly #waiting: Chunk[] = [];
  #filling: Chunk | undefined;
  #spare: Chunk | undefined;
  #writing = false;
  #failing = false;
  /** The last line that was written is not whole. */
  #torn = false;
  #closed: (() => void) | undefined;

  constructor(options: LogOutputOptions) {
    this.#options = options;
    this.#after = options.after ?? realTime;
  }

  /** Room for a line of at most `most` bytes (below 64 KiB); undefined: it is dropped, which is counted. `commit` follows. */
  reserve(most: number): { bytes: Buffer; at: number } | undefined {
    let chunk = this.#filling;
    if (chunk !== undefined && chunk.bytes.length - chunk.length < most) {
      this.#waiting.push(chunk);
      this.#filling = chunk = undefined;
    }
    if (chunk === undefined) {
      if (this.#waiting.length >= MAX_CHUNKS - 1) {
        this.#options.onDropped(1);
        return undefined;
      }
      chunk = this.#spare ?? { bytes: Buffer.allocUnsafeSlow(CHUNK_BYTES), length: 0, lines: 0 };
      this.#spare = undefined;
      this.#filling = chunk;
    }
    return { bytes: chunk.bytes, at: chunk.length };
  }

  /** The line stands in the room that was reserved, and ends there. */
  commit(end: number): void {
    const chunk = this.#filling;
    if (chunk === undefined) return;
    chunk.length = end;
    chunk.lines++;
    if (this.#writing) return;
    if (this.#options.eager === true || end >= BATCH_BYTES || this.#waiting.length > 0) this.#start();
    else this.#plan();
  }

  /** Resolves when all is written, or the output has not taken it in time. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      // What waits for room in a pipe does not keep the process.
      const alive = setInterval(() => {}, KEEP_ALIVE_MS);
      const closed = (): void => {
        clearInterval(alive);
        giveUp();
        resolve();
      };
      const giveUp = this.#after(CLOSE_MS, closed);
      this.#closed = closed;
      this.#start();
    });
  }

  #plan(): void {
    this.#unplan ??= this.#after(FLUSH_MS, () => this.#start());
  }

  #start(): void {
    if (this.#writing) return;
    this.#unplan?.();
    this.#unplan = undefined;
    const next = this.#waiting.shift() ?? this.#filling;
    if (next === undefined || next.length === 0) return this.#closed?.();
    if (next === this.#filling) this.#filling = undefined;
    this.#writing = true;
    if (this.#torn) this.#endLine(() => this.#write(next, 0));
    else this.#write(next, 0);
  }

  #endLine(then: () => void): void {
    this.#options.write(NEW_LINE, 0, NEW_LINE.length, (error) => {
      this.#torn = error !== null;
      then();
    });
  }

  #write(chunk: Chunk, from: number): void {
    this.#options.write(chunk.bytes, from, chunk.length - from, (error, written) => {
      if (error?.code === 'EAGAIN') return this.#tryLater(chunk, from);
      if (error !== null) this.#failed(chunk, from, error);
      else {
        this.#failing = false;
        if (from + written < chunk.length) return this.#write(chunk, from + written);
      }
      this.#done(chunk);
    });
  }

  /** A pipe that does not block its writers is full. */
  #tryLater(chunk: Chunk, from: number): void {
    this.#after(RETRY_MS, () => this.#write(chunk, from));
  }

  /** @param from bytes that had been written before */
  #failed(chunk: Chunk, from: number, error: Error): void {
    const { bytes, length } = chunk;
    // A full disk takes a part of a line. What comes when there is room again begins a new one.
    if (from > 0) this.#torn = bytes[from - 1] !== NEW_LINE[0];
    this.#options.onDropped(from === 0 ? chunk.lines : linesIn(bytes.subarray(from, length)));
    if (!this.#failing) this.#options.onError(error);
    this.#failing = true;
  }

  #done(chunk: Chunk): void {
    this.#writing = false;
    chunk.length = 0;
    chunk.lines = 0;
    this.#spare = chunk;
    if (this.#waiting.length > 0 || this.#closed !== undefined) return this.#start();
    const filled = this.#filling?.length ?? 0;
    if (filled >= BATCH_BYTES || (filled > 0 && this.#options.eager === true)) this.#start();
    else if (filled > 0) this.#plan();
  }
}

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEW_LINE); at >= 0; at = bytes.indexOf(NEW_LINE, at + 1)) lines++;
  return lines;
}

/** Writes to an open file. */
export function toDescriptor(fd: number): WriteBytes {
  return (chunk, start, length, done) => write(fd, chunk, start, length, null, done);
}

/** Writes to an open file before it returns, for who may end at any moment and whose last lines are what one wants to read. */
export function toDescriptorAtOnce(fd: number): WriteBytes {
  return (chunk, start, length, done) => {
    let written = 0;
    let failure: NodeJS.ErrnoException | null = null;
    try {
      written = writeSync(fd, chunk, start, length);
    } catch (error) {
      failure = error as NodeJS.ErrnoException;
    }
    done(failure, written);
  };
}
