import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { rotatedPath } from './log-file.ts';
import type { LogWriter } from './log-file.ts';

/** Which part of a log is wanted: the fields of PodLogOptions. */
export interface LogSelection {
  tailLines?: number | undefined;
  sinceSeconds?: number | undefined;
  timestamps?: boolean;
  limitBytes?: number | undefined;
  follow?: boolean;
}

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * The lines of a container's log, each with its line end, as `kubectl logs` shows them. With `follow` it goes on until `writer` ends or `signal` aborts.
 */
export async function* readLogLines(
  path: string,
  selection: LogSelection,
  options: { now: number; writer?: LogWriter; signal?: AbortSignal },
): AsyncGenerator<string> {
  const since = earliest(selection, options.now);
  let left = selection.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const entry of entries(path, selection, options)) {
    if (entry.time < since) continue;
    const text = `${selection.timestamps === true ? `${entry.time} ` : ''}${entry.text}`;
    const bytes = Buffer.byteLength(text);
    if (bytes >= left) {
      yield Buffer.from(text).subarray(0, left).toString();
      return;
    }
    left -= bytes;
    yield text;
  }
}

interface Entry {
  time: string;
  /** With a line end, except a part of a line. */
  text: string;
}

async function* entries(
  path: string,
  selection: LogSelection,
  options: { writer?: LogWriter; signal?: AbortSignal },
): AsyncGenerator<Entry> {
  const wake = new Wake(selection.follow === true ? options.writer : undefined, options.signal);
  try {
    if (selection.tailLines === undefined) {
      yield* fileEntries(rotatedPath(path), undefined);
      yield* fileEntries(path, wake);
      return;
    }
    // What is there now is cut to its tail; what comes after is followed from where the tail ended.
    const tail: Entry[] = [];
    const position = { bytes: 0 };
    const keep = (entry: Entry): void => {
      tail.push(entry);
      if (tail.length > (selection.tailLines ?? 0)) tail.shift();
    };
    for await (const entry of fileEntries(rotatedPath(path), undefined)) keep(entry);
    for await (const entry of fileEntries(path, undefined, position)) keep(entry);
    yield* tail;
    if (wake.live) yield* fileEntries(path, wake, position);
  } finally {
    wake.close();
  }
}

/** Entries of one file from `position` on (moved along); goes on with `wake` while the log lives, into the new file when it is rotated. */
async function* fileEntries(
  path: string,
  wake: Wake | undefined,
  position = { bytes: 0 },
): AsyncGenerator<Entry> {
  for (;;) {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    let rotated = false;
    try {
      for (;;) {
        const seen = wake?.generation;
        const live = wake?.live ?? false;
        yield* completeLines(file, position);
        if (wake === undefined || !live) return;
        if (await wasRotated(file, path)) {
          // What came between the read and the rotation still stands in the old file.
          yield* completeLines(file, position);
          rotated = true;
          break;
        }
        await wake.after(seen ?? 0);
      }
    } finally {
      await file.close();
    }
    if (!rotated) return;
    position.bytes = 0;
  }
}

async function* completeLines(file: FileHandle, position: { bytes: number }): AsyncGenerator<Entry> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, position.bytes);
    const end = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
    if (end === 0) return;
    position.bytes += end;
    for (const line of buffer.toString('utf8', 0, end - 1).split('\n')) yield parse(line);
  }
}

async function wasRotated(file: FileHandle, path: string): Promise<boolean> {
  const mine = await file.stat();
  const current = await open(path, 'r');
  try {
    return (await current.stat()).ino !== mine.ino;
  } finally {
    await current.close();
  }
}

function parse(line: string): Entry {
  const timeEnd = line.indexOf(' ');
  const streamEnd = line.indexOf(' ', timeEnd + 1);
  const partial = line[streamEnd + 1] === 'P';
  return { time: line.slice(0, timeEnd), text: line.slice(streamEnd + 3) + (partial ? '' : '\n') };
}

/** Times of a log compare as text: all have the same form. */
function earliest(selection: LogSelection, now: number): string {
  if (selection.sinceSeconds === undefined) return '';
  return new Date(now - selection.sinceSeconds * 1000).toISOString().replace('Z', '');
}

/** Wakes a follower when its log grows or ends. */
class Wake {
  generation = 0;
  readonly #writer: LogWriter | undefined;
  readonly #signal: AbortSignal | undefined;
  #resolve: (() => void) | undefined;
  readonly #unsubscribe: (() => void) | undefined;

  constructor(writer: LogWriter | undefined, signal: AbortSignal | undefined) {
    this.#writer = writer;
    this.#signal = signal;
    this.#unsubscribe = writer?.onChange(this.#ring);
    signal?.addEventListener('abort', this.#ring);
  }

  /** Whether more may come. */
  get live(): boolean {
    return this.#writer !== undefined && !this.#writer.closed && this.#signal?.aborted !== true;
  }

  /** Resolves when something has happened since `generation` was `seen`. */
  async after(seen: number): Promise<void> {
    if (this.generation !== seen || this.#signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
  }

  close(): void {
    this.#unsubscribe?.();
    this.#signal?.removeEventListener('abort', this.#ring);
  }

  readonly #ring = (): void => {
    this.generation += 1;
    this.#resolve?.();
    this.#resolve = undefined;
  };
}
