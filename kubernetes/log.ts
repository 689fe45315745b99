/** What the client layer needs of a log. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const nothing = (): void => {};

/** Takes everything and writes nothing: the default where a caller gives no logger. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
