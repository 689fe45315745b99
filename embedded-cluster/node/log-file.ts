import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Kubelet's containerLogMaxSize. One older file is kept beside the current one, so a container never takes more than twice this. */
export const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** containerd cuts longer lines into parts tagged P, so that no writer makes the reader hold a line without end. */
const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/** What followers of a log are told. */
export type LogChange = 'appended' | 'rotated' | 'closed';

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
  readonly #listeners = new Set<(change: LogChange) => void>();
  readonly #maxBytes: number;
  readonly #now: () => number;

  constructor(path: string, options: { now: () => number; maxBytes?: number }) {
    this.path = path;
    this.#now = options.now;
    this.#maxBytes = options.maxBytes ?? MAX_LOG_BYTES;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#fd = openSync(path, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Tells, within the write, of every append, rotation and the end; the returned function stops it. */
  onChange(listener: (change: LogChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    if (this.#closed) return;
    const before = this.#partial.get(stream);
    let rest = before === undefined ? chunk : Buffer.concat([before, chunk]);
    const head = `${logTime(this.#now())} ${stream} `;
    const [full, part] = [Buffer.from(`${head}F `), Buffer.from(`${head}P `)];
    const pieces: Buffer[] = [];
    for (;;) {
      const end = rest.indexOf(NEWLINE);
      if (end === -1 && rest.length < MAX_LINE_BYTES) break;
      const whole = end !== -1 && end <= MAX_LINE_BYTES;
      // A whole line brings its own end along.
      if (whole) pieces.push(full, rest.subarray(0, end + 1));
      else pieces.push(part, rest.subarray(0, MAX_LINE_BYTES), LINE_END);
      rest = rest.subarray(whole ? end + 1 : MAX_LINE_BYTES);
    }
    if (rest.length === 0) this.#partial.delete(stream);
    else this.#partial.set(stream, Buffer.from(rest));
    if (pieces.length > 0) this.#append(Buffer.concat(pieces));
  }

  /** Writes what had no line end, and ends. */
  close(): void {
    if (this.#closed) return;
    for (const [stream, rest] of this.#partial)
      this.#append(Buffer.concat([Buffer.from(`${logTime(this.#now())} ${stream} F `), rest, LINE_END]));
    this.#closed = true;
    closeSync(this.#fd);
    this.#tell('closed');
    this.#listeners.clear();
  }

  /** Output that can't be written (a full disk) is lost; the container and the cluster go on. */
  #append(bytes: Buffer): void {
    try {
      if (this.#size > 0 && this.#size + bytes.length > this.#maxBytes) this.#rotate();
      const written = writeSync(this.#fd, bytes);
      if (written < bytes.length) {
        // Half a line would swallow the beginning of the next.
        ftruncateSync(this.#fd, this.#size);
        return;
      }
      this.#size += written;
    } catch {
      return;
    }
    this.#tell('appended');
  }

  /** The new file is opened before the old one is let go: a descriptor that was closed may be somebody else's by the next write. */
  #rotate(): void {
    const next = `${this.path}.next`;
    const fd = openSync(next, 'a', 0o600);
    try {
      renameSync(this.path, rotatedPath(this.path));
      renameSync(next, this.path);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(this.#fd);
    this.#fd = fd;
    this.#size = 0;
    this.#tell('rotated');
  }

  #tell(change: LogChange): void {
    for (const listener of this.#listeners) listener(change);
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
