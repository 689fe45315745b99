import type { LogWriter } from './log-file.ts';
import { OpenLog } from './open-log.ts';
import type { LogEntry } from './open-log.ts';

/** Which part of a log is wanted: the fields of PodLogOptions. */
export interface LogSelection {
  tailLines?: number | undefined;
  sinceSeconds?: number | undefined;
  /** RFC 3339. */
  sinceTime?: string | undefined;
  timestamps?: boolean;
  limitBytes?: number | undefined;
  follow?: boolean;
}

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

async function* entries(
  path: string,
  selection: LogSelection,
  options: { writer?: LogWriter; signal?: AbortSignal },
): AsyncGenerator<LogEntry> {
  const log = new OpenLog(path, selection.follow === true ? options.writer : undefined, options.signal);
  try {
    const { tailLines } = selection;
    if (tailLines !== undefined) yield* await lastOf(log.present(), tailLines);
    if (tailLines === undefined || selection.follow === true) yield* log.rest();
  } finally {
    log.close();
  }
}

async function lastOf(all: AsyncIterable<LogEntry>, count: number): Promise<LogEntry[]> {
  let tail: LogEntry[] = [];
  for await (const entry of all) {
    tail.push(entry);
    // Seldom, since each cut copies.
    if (tail.length > 2 * count + 1000) tail = tail.slice(tail.length - count);
  }
  return tail.slice(Math.max(0, tail.length - count));
}

/** Times of a log compare as text: all have the same form. */
function earliest(selection: LogSelection, now: number): string {
  const { sinceSeconds, sinceTime } = selection;
  const ms = sinceSeconds === undefined ? Date.parse(sinceTime ?? '') : now - sinceSeconds * 1000;
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString().replace('Z', '');
}
