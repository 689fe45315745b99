import { constants } from 'node:os';

/** Ctrl-C, an end that is asked for, and a terminal that goes away. A pipe that nobody reads any more (`2>&1 | head`) is as much. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Why work was cut short; nobody needs to be told more than the exit code. */
export class Interrupted extends Error {
  /** As a shell tells of a command that a signal ended: 128 and its number. 0 where only nobody read any more. */
  readonly exitCode: number;

  /** @param by undefined: nobody reads what is said */
  constructor(by: (typeof SIGNALS)[number] | undefined) {
    super(`interrupted by ${by ?? 'the end of the pipe'}`);
    this.name = 'Interrupted';
    this.exitCode = by === undefined ? 0 : 128 + constants.signals[by];
  }
}

/**
 * Runs work that must undo what it has begun when the person interrupts it: instead of ending the process, a signal aborts `signal`, with an `Interrupted` as
 * its reason, and the process ends when the work does. More signals change nothing. Work that throws the reason ends the command with its exit code.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const interrupt = (by: (typeof SIGNALS)[number]): void => interruption.abort(new Interrupted(by));
  const nobodyReads = (): void => interruption.abort(new Interrupted(undefined));
  for (const signal of SIGNALS) process.on(signal, interrupt);
  process.stderr.on('error', nobodyReads);
  try {
    return await work(interruption.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
    process.stderr.off('error', nobodyReads);
  }
}
