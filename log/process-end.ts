import type { JsonLog } from './json-log.ts';
import type { OwnLog } from './own-log.ts';

/** Exit code of an environment that cannot be used: EX_USAGE of sysexits.h. Starting again would not help. */
export const EXIT_CONFIG = 64;

/** Exit code of a start that failed for what may have passed by the next: an address that is taken, a file that cannot be opened. */
export const EXIT_FAILED = 1;

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
