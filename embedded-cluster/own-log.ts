import { type Logger, pino } from 'pino';

/** Bytes that wait for an output that takes none: what comes then is lost. */
const MAX_WAITING = 1024 * 1024;

/**
 * The log of a cluster's process. Synchronous: what was logged before a crash is what one wants to read. Lines that cannot be written, of a full disk mostly, wait or are
 * lost: a cluster does not end by its log.
 */
export function createOwnLog(level: string, fd: number): Logger {
  const output = pino.destination({ dest: fd, sync: true, maxLength: MAX_WAITING });
  // There is no other place to tell it at.
  output.on('error', () => {});
  return pino({ level, name: 'embedded-cluster' }, output);
}
