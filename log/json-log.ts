import { hostname } from 'node:os';

/** Writes a line of what it is told. */
export interface JsonLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** What ends the process. */
  fatal(fields: object, message: string): void;
}

/** By their numbers in the lines of pino, the form that tools for reading Node's logs know. */
const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60, silent: Infinity } as const;

type Level = keyof typeof LEVELS;

/** The lowest level that a log writes; it may become another one while the process runs. */
export class LowestLevel {
  #name: Level = 'info';

  /** @param name what is no level counts as `info` */
  constructor(name: string) {
    this.set(name);
  }

  get name(): string {
    return this.#name;
  }

  /** Counts from the next line on. False: there is no such level, and nothing changes. */
  set(name: string): boolean {
    if (!isLevel(name)) return false;
    this.#name = name;
    return true;
  }

  /** Whether a line with that number is written. */
  writes(number: number): boolean {
    return number >= LEVELS[this.#name];
  }
}

function isLevel(name: string): name is Level {
  return Object.hasOwn(LEVELS, name);
}

/**
 * A log of JSON lines in pino's form; an error among the fields is its type, message and stack. pino itself would be a
 * tenth of what a sidecar loads, and 8 ms of its start.
 * @param own fields of every line: who writes
 */
export function jsonLog(
  own: Record<string, string>,
  level: LowestLevel,
  write: (line: string) => void,
): JsonLog {
  const fixed = JSON.stringify({ pid: process.pid, hostname: hostname(), ...own }).slice(1, -1);
  const at = (number: number) => {
    return (fields: object, message: string): void => {
      if (!level.writes(number)) return;
      // What `fields` says comes first, so that it cannot take the place of the message.
      write(`{"level":${number},"time":${Date.now()},${fixed},${text(fields, message).slice(1)}\n`);
    };
  };
  return {
    debug: at(LEVELS.debug),
    info: at(LEVELS.info),
    warn: at(LEVELS.warn),
    error: at(LEVELS.error),
    fatal: at(LEVELS.fatal),
  };
}

/** Takes everything and writes nothing. */
export const silentLog: JsonLog = jsonLog({}, new LowestLevel('silent'), () => {});

/** Who logs must not fail by it: of fields that JSON has no form for, the message is left. */
function text(fields: object, msg: string): string {
  try {
    return JSON.stringify({ ...fields, msg }, toJson);
  } catch (error) {
    return JSON.stringify({ unwritable: String(error), msg });
  }
}

/** JSON has no such large numbers, and shows nothing of an error. */
function toJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (!(value instanceof Error)) return value;
  return { type: value.constructor.name, message: value.message, stack: value.stack };
}
