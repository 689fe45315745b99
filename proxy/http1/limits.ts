/** ms for a head from its first byte: honest clients send it at once, slow ones hold a connection's memory. */
export const HEAD_TIMEOUT_MS = 30_000;
/** ms without a byte of a request body that is being read: as for a head; slow networks move in seconds. */
export const BODY_STALL_MS = 30_000;
/**
 * ms without a request. Longer than the pools of usual clients keep an unused connection (Node 5 s, Go 90 s, Java 5
 * min), so that they are the ones who close: a request that meets a closing connection is lost.
 */
export const IDLE_MS = 600_000;
/** ms that a closed connection waits for the client's side to close, too: without, a reset could overtake the answer. */
export const LINGER_MS = 2_000;
/**
 * ms without a byte of the answer, for a client that has ended its side. It may only have half-closed; most have given
 * up, and TCP tells one as the other. nginx and Linkerd end both at once; an answer that comes within this time is
 * still delivered, and one that hangs does not hold its app's connection for good.
 */
export const HALF_CLOSED_MS = 3_000;
/** Bytes of a request body that are read and dropped after its response ended early, before the connection is closed instead. */
export const DISCARD_LIMIT = 256 * 1024;
