import type { JsonLog } from './json-log.ts';
import type { OwnLog } from './own-log.ts';

/** Exit code of an environment that cannot be used: EX_USAGE of sysexits.h. Starting again would not help. */
export const EXIT_CONFIG = 64;

/** Exit code of a start that failed for what may have passed by the next: an address that is taken, a file that cannot be opened. */
export const EXIT_FAILED = 1;

/** Who sends one of these wants the process to end; some images of web servers have taught SIGQUIT for it. */
const ENDING = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
/**
 * By default these end a process at once. The first is sent when logs are rotated, or a terminal closes; neither means
 * that requests under way should break.
 */
const HARMLESS = ['SIGHUP', 'SIGUSR2'] as const;

/**
 * Hears the signals that would end a process by default, and may come any number of times.
 * @param stop is called once, for the first one that is meant so
 */
export function hearSignals(log: JsonLog, stop: (signal: string) => void): void {
  let stopping = false;
  const end = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    stop(signal);
  };
  for (const signal of ENDING) process.on(signal, end);
  for (const signal of HARMLESS)
    process.on(signal, () => log.info({ signal }, 'the process goes on; SIGTERM ends it'));
}

/** A fault in one call or connection must not end the others: it is told, and the process goes on. */
export function outliveFaults(log: JsonLog): void {
  process.on('uncaughtException', (error) => log.error({ error: error.stack }, 'uncaught exception'));
  process.on('unhandledRejection', (reason) =>
    log.error({ error: reason instanceof Error ? reason.stack : String(reason) }, 'unhandled rejection'),
  );
}

/** Ends the process once its log is written. By itself it might not end: what has been started already would keep it. */
export async function endProcess(ownLog: OwnLog, code: number): Promise<never> {
  await ownLog.close();
  return process.exit(code);
}
