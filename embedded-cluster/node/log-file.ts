import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Kubelet's containerLogMaxSize. One older file is kept beside the current one, so a container never takes more than twice this. */
export const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** containerd cuts longer lines into parts tagged P, so that no writer makes the reader hold a line without end. */
const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/**
 * Writes a container's output as the CRI log format has it: `<RFC 3339 time> <stdout|stderr> <F|P> <line>`. Writes are synchronous: they go to the page
 * cache, nothing is buffered, and what a container said before it died is there.
 */
export class LogWriter {
  readonly path: string;
  #fd: number;
  #size: number;
  #closed = false;
  readonly #partial = new Map<'stdout' | 'stderr', Buffer>();
  readonly #listeners = new Set<() => void>();
  readonly #maxBytes: number;
  readonly #now: () => number;

  constructor(path: string, options: { now: () => number; maxBytes?: number }) {
    this.path = path;
    this.#now = options.now;
    this.#maxBytes = options.maxBytes ?? MAX_LOG_BYTES;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#fd = openSync(path, 'a', 0o600);
    this.#size = statSync(path).size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Tells of every append, rotation and the end; the returned function stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    if (this.#closed) return;
    const before = this.#partial.get(stream);
    let rest = before === undefined ? chunk : Buffer.concat([before, chunk]);
    const time = logTime(this.#now());
    const lines: Buffer[] = [];
    for (;;) {
      const end = rest.indexOf(NEWLINE);
      if (end === -1 && rest.length < MAX_LINE_BYTES) break;
      const whole = end !== -1 && end <= MAX_LINE_BYTES;
      const length = whole ? end : MAX_LINE_BYTES;
      lines.push(Buffer.from(`${time} ${stream} ${whole ? 'F' : 'P'} `), rest.subarray(0, length), LINE_END);
      rest = rest.subarray(whole ? end + 1 : length);
    }
    if (rest.length === 0) this.#partial.delete(stream);
    else this.#partial.set(stream, Buffer.from(rest));
    if (lines.length > 0) this.#append(Buffer.concat(lines));
  }

  /** Writes what had no line end, and ends. */
  close(): void {
    if (this.#closed) return;
    for (const [stream, rest] of this.#partial)
      this.#append(Buffer.concat([Buffer.from(`${logTime(this.#now())} ${stream} F `), rest, LINE_END]));
    this.#closed = true;
    closeSync(this.#fd);
    this.#tell();
    this.#listeners.clear();
  }

  /** Output that can't be written (a full disk) is lost; the container and the cluster go on. */
  #append(bytes: Buffer): void {
    try {
      if (this.#size > 0 && this.#size + bytes.length > this.#maxBytes) this.#rotate();
      this.#size += writeSync(this.#fd, bytes);
    } catch {
      return;
    }
    this.#tell();
  }

  #rotate(): void {
    closeSync(this.#fd);
    renameSync(this.path, rotatedPath(this.path));
    this.#fd = openSync(this.path, 'a', 0o600);
    this.#size = 0;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

const LINE_END = Buffer.from('\n');

export function rotatedPath(path: string): string {
  return `${path}.1`;
}

/** Removes a log and its rotated predecessor. */
export function removeLog(path: string): void {
  rmSync(path, { force: true });
  rmSync(rotatedPath(path), { force: true });
}

function logTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000000Z');
}
