import { closeSync, fstatSync, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { rotatedPath } from './log-file.ts';
import type { LogWriter } from './log-file.ts';

/** One line of a log, or a part of one. */
export interface LogEntry {
  /** RFC 3339 in nanoseconds; times of a log compare as text. */
  time: string;
  /** With a line end, except a part of a line. */
  text: string;
}

interface OpenFile {
  fd: number;
  /** Up to here it was read. */
  position: number;
  /** It had so many bytes when it was opened. */
  size: number;
}

const readFile = promisify(read);
/** One read: some hundred lines, and little memory for each of many followers. */
const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
/** A follower keeps the files that it has not read open, and so on disk, beyond the two that a log has. One that lags further behind loses the oldest. */
const MAX_FILES = 6;

/**
 * The files of a log, opened at one moment and, while `writer` lives, whenever it rotates: nothing is lost or read twice however often that happens
 * between two reads.
 */
export class OpenLog {
  /** Oldest first. */
  readonly #files: OpenFile[];
  readonly #writer: LogWriter | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #unsubscribe: (() => void) | undefined;
  #reading: OpenFile | undefined;
  #changes = 0;
  #wake: (() => void) | undefined;

  constructor(path: string, writer: LogWriter | undefined, signal: AbortSignal | undefined) {
    this.#writer = writer;
    this.#signal = signal;
    this.#files = [rotatedPath(path), path].flatMap((file) => openIfThere(file));
    this.#unsubscribe = writer?.onChange((change) => {
      if (change === 'rotated') this.#follow(path);
      this.#ring();
    });
    signal?.addEventListener('abort', this.#ring);
  }

  /** What was there when it was opened. */
  async *present(): AsyncGenerator<LogEntry> {
    for (const file of this.#files.slice())
      if (this.#files.includes(file)) yield* this.#entries(file, file.size);
  }

  /** What has not been read yet; goes on until the writer ends or the signal aborts. */
  async *rest(): AsyncGenerator<LogEntry> {
    for (;;) {
      const seen = this.#changes;
      const [file, next] = this.#files;
      if (file === undefined) return;
      const live = this.#live;
      yield* this.#entries(file, Number.POSITIVE_INFINITY);
      if (next !== undefined) {
        // It had a successor before it was read: nothing more comes.
        this.#drop(file);
        continue;
      }
      if (!live) return;
      await this.#change(seen);
    }
  }

  close(): void {
    this.#unsubscribe?.();
    this.#signal?.removeEventListener('abort', this.#ring);
    for (const file of this.#files.slice()) this.#drop(file);
  }

  get #live(): boolean {
    return this.#writer !== undefined && !this.#writer.closed && this.#signal?.aborted !== true;
  }

  /** Within the rotation: later the new file may be an old one already. */
  #follow(path: string): void {
    this.#files.push(...openIfThere(path));
    const oldest = this.#files.find((file) => file !== this.#reading);
    if (this.#files.length > MAX_FILES && oldest !== undefined) this.#drop(oldest);
  }

  #drop(file: OpenFile): void {
    closeSync(file.fd);
    this.#files.splice(this.#files.indexOf(file), 1);
  }

  async *#entries(file: OpenFile, end: number): AsyncGenerator<LogEntry> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#reading = file;
    while (file.position < end) {
      const length = Math.min(CHUNK_BYTES, end - file.position);
      const { bytesRead } = await readFile(file.fd, buffer, 0, length, file.position);
      const whole = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
      if (whole === 0) return;
      file.position += whole;
      for (const line of buffer.toString('utf8', 0, whole - 1).split('\n')) yield parse(line);
    }
  }

  /** Resolves when something has happened since there were `seen` changes. */
  async #change(seen: number): Promise<void> {
    if (this.#changes !== seen || this.#signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  readonly #ring = (): void => {
    this.#changes += 1;
    this.#wake?.();
    this.#wake = undefined;
  };
}

function openIfThere(path: string): OpenFile[] {
  try {
    const fd = openSync(path, 'r');
    return [{ fd, position: 0, size: fstatSync(fd).size }];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function parse(line: string): LogEntry {
  const timeEnd = line.indexOf(' ');
  const streamEnd = line.indexOf(' ', timeEnd + 1);
  const partial = line[streamEnd + 1] === 'P';
  return { time: line.slice(0, timeEnd), text: line.slice(streamEnd + 3) + (partial ? '' : '\n') };
}
