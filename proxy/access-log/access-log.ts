import { LogOutput, type LogTarget, openLog, type WriteBytes } from '../../log/index.ts';
import type { Logger } from '../../workload-identity/index.ts';
import { ByteWriter } from '../bytes/byte-writer.ts';
import type { Counter, Registry } from '../telemetry/registry.ts';
import { Timestamps } from '../telemetry/wall-time.ts';
import { type LogFormat, type LoggedClient, type LoggedRequest, type LogLine, logLine } from './log-line.ts';

/** Where the log goes and how it looks. */
export interface AccessLogConfig {
  readonly format: LogFormat;
  /** `stderr`, `stdout`, or the path of a file that lines are added to. */
  readonly file: string;
}

export interface AccessLogOptions extends AccessLogConfig {
  registry: Registry;
  log: Logger;
  /** Instead of the file: for tests. */
  write?: WriteBytes;
}

const NO_BYTES = Buffer.alloc(0);

/** The access log of a process: a line for each request that is over. */
export class AccessLog {
  readonly #format: LogFormat;
  readonly #output: LogOutput;
  readonly #times = new Timestamps();
  readonly #lines: Counter;
  readonly #writer = new ByteWriter(NO_BYTES);
  readonly #target: LogTarget;
  readonly #log: Logger;
  readonly #file: string;

  /** Throws where the file cannot be opened. */
  constructor(options: AccessLogOptions) {
    const { registry, log, file } = options;
    this.#format = options.format;
    this.#log = log;
    this.#file = file;
    this.#target =
      options.write === undefined ? openLog(file) : { write: options.write, reopen() {}, close() {} };
    this.#lines = registry.counter('access_log_lines_total', 'Lines of the access log').cell();
    const dropped = registry
      .counter('access_log_dropped_lines_total', 'Lines that were dropped since the output took no more')
      .cell();
    this.#output = new LogOutput({
      write: this.#target.write,
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

  /** Somebody has renamed the file, and means to have what comes in a new one. */
  reopen(): void {
    try {
      this.#target.reopen();
    } catch (error) {
      this.#log.warn({ file: this.#file, error: String(error) }, 'the access log goes on where it was');
    }
  }

  /** Resolves when everything is written, or cannot be in a second. */
  async close(): Promise<void> {
    await this.#output.close();
    this.#target.close();
  }
}
