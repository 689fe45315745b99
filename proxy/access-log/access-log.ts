import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Logger } from '../../workload-identity/index.ts';
import { ByteWriter } from '../byte-writer.ts';
import type { Counter, Registry } from '../telemetry/registry.ts';
import { Timestamps } from '../telemetry/wall-time.ts';
import type { TimerWheel } from '../transport/timers.ts';
import { type LogFormat, type LoggedClient, type LoggedRequest, type LogLine, logLine } from './log-line.ts';
import { LogOutput, toDescriptor, type WriteBytes } from './log-output.ts';

/** Where the log goes and how it looks. */
export interface AccessLogConfig {
  readonly format: LogFormat;
  /** `stderr`, `stdout`, or the path of a file that lines are added to. */
  readonly file: string;
}

export interface AccessLogOptions extends AccessLogConfig {
  timers: TimerWheel;
  registry: Registry;
  log: Logger;
  /** Instead of the file: for tests. */
  write?: WriteBytes;
}

/** What bytes are written to. */
interface Target {
  readonly write: WriteBytes;
  close(): void;
}

/** ms; any time would do. */
const KEEP_ALIVE_MS = 1_000;

const NO_BYTES = Buffer.alloc(0);

/** The access log of a process: a line for each request that is over. */
export class AccessLog {
  readonly #format: LogFormat;
  readonly #output: LogOutput;
  readonly #times = new Timestamps();
  readonly #lines: Counter;
  readonly #writer = new ByteWriter(NO_BYTES);
  readonly #target: Target;

  /** Throws where the file cannot be opened. */
  constructor(options: AccessLogOptions) {
    const { registry, log, timers, file } = options;
    this.#format = options.format;
    this.#target = options.write === undefined ? open(file) : { write: options.write, close() {} };
    this.#lines = registry.counter('access_log_lines_total', 'Lines of the access log').cell();
    const dropped = registry
      .counter('access_log_dropped_lines_total', 'Lines that were dropped since the output took no more')
      .cell();
    this.#output = new LogOutput({
      write: this.#target.write,
      timers,
      onDropped: (lines) => dropped.add(lines),
      onError: (error) => log.warn({ file, error: error.message }, 'the access log cannot be written'),
    });
  }

  /** What writes the lines of one client. */
  client(client: LoggedClient): LogLine {
    return logLine(this.#format, client);
  }

  write(line: LogLine, request: LoggedRequest): void {
    const room = this.#output.reserve(line.most(request.text));
    if (room === undefined) return;
    const writer = this.#writer;
    writer.buffer = room.bytes;
    writer.at = room.at;
    line.write(writer, request, this.#times);
    this.#output.commit(writer.at);
    this.#lines.add();
  }

  /** Resolves when everything is written, or cannot be in a second. */
  async close(): Promise<void> {
    // What waits for room in a pipe does not keep the process.
    const alive = setInterval(() => {}, KEEP_ALIVE_MS);
    await this.#output.close();
    clearInterval(alive);
    this.#target.close();
  }
}

function open(file: string): Target {
  const standard = STANDARD.get(file);
  if (standard !== undefined) return pipe(standard) ?? { write: toDescriptor(standard), close() {} };
  try {
    const fd = openSync(file, 'a', LOG_MODE);
    return { write: toDescriptor(fd), close: () => closeSync(fd) };
  } catch (error) {
    throw new Error(`the access log ${file} cannot be opened: ${(error as Error).message}`, { cause: error });
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
function pipe(fd: number): Target | undefined {
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
