import { type JsonLog, jsonLog, LowestLevel } from './json-log.ts';
import { LogOutput, type WriteBytes } from './log-output.ts';
import { openLog } from './log-target.ts';

/** Bytes of a line; what is longer is no line for a person. */
const MAX_LINE = 32 * 1024;

/** The log of a process about itself. */
export interface OwnLog {
  readonly log: JsonLog;
  readonly level: LowestLevel;
  /** Resolves when all is written, or the output has not taken it in a second. */
  close(): Promise<void>;
}

/**
 * A log that holds nobody up, to standard output where `write` is not given: nothing stops where nobody reads the pipe, and a mebibyte waits at most;
 * what comes then is lost, which is told when there is room again.
 * @param own fields of every line: who writes @param level the lowest that is written at first
 */
export function createOwnLog(own: Record<string, string>, level: string, write?: WriteBytes): OwnLog {
  const target = write === undefined ? openLog('stdout') : { write, reopen() {}, close() {} };
  let lost = 0;
  const output = new LogOutput({
    write: target.write,
    eager: true,
    onDropped: (lines) => {
      lost += lines;
    },
    onError: () => {
      // There is no other place to tell it at.
    },
  });
  const line = (text: string): void => {
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_LINE) {
      lost++;
      return;
    }
    const room = output.reserve(bytes);
    if (room === undefined) return;
    const lines = lost;
    output.commit(room.at + room.bytes.write(text, room.at));
    // Where this line is lost already, so would be the next.
    if (lines === 0 || lost > lines) return;
    lost = 0;
    log.warn({ lines }, 'lines of this log were lost: its output took no more');
  };
  const lowest = new LowestLevel(level);
  const log = jsonLog(own, lowest, line);
  return {
    log,
    level: lowest,
    async close() {
      await output.close();
      target.close();
    },
  };
}
