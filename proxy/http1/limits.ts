/** Bytes of a body that may be under way to the other side of an exchange before its connection is no longer read: what HTTP/2 gives a stream. */
export const BODY_WINDOW = 256 * 1024;
/** Below this many it is read again: half, so that reading and taking overlap. */
export const BODY_RESUME = BODY_WINDOW / 2;
/** ms for a head from its first byte: honest clients send it at once, slow ones hold a connection's memory. */
export const HEAD_TIMEOUT_MS = 30_000;
/** Bytes of a request body that are read and dropped after its response ended early, before the connection is closed instead. */
export const DISCARD_LIMIT = 256 * 1024;
