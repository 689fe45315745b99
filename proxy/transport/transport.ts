import type { TcpBindings } from './tcp-bindings.ts';
import type { Connection } from './tcp-connection.ts';

/** A connected byte stream, plain or TLS. Two makers stand behind it: socket handles (fast) and public streams (fallback). */
export interface Transport {
  readonly encrypted: boolean;
  /** Set once, before the first turn of the event loop ends. */
  handler: TransportHandler;
  /** Told of its end, before the handler is. */
  watcher: TransportWatcher | undefined;
  /**
   * Written at the end of the read callback that caused it (few exchanges in flight), else as `turn.ts` has it:
   * together with all that the turn, or this and the next one, bring. True at first.
   */
  eager: boolean;
  /** Why the connection broke, as a system error code (`ECONNRESET`); empty while it has not, or when it was closed properly. */
  readonly errorCode: string;
  /** Bytes that have come and that have gone, on the wire as far as that is known; also when it is closed. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes taken over but not yet given to the kernel. */
  readonly pendingBytes: number;
  /** Bytes that the kernel has taken, of all that were written: who looks twice sees whether a slow peer moves at all. */
  readonly takenBytes: number;
  /**
   * Copies bytes into the output; it is written once for one or two event-loop turns (or at the end of the read callback while few exchanges are in flight).
   * Returns false when more than the high-water mark is pending: `handler.onDrain` follows.
   */
  write(buffer: Buffer, start: number, end: number): boolean;
  /** Room of at least n bytes in the output buffer, for codecs that encode in place: fill from `offset`, then `commit(length)`. */
  reserve(n: number): { buffer: Buffer; offset: number };
  commit(length: number): boolean;
  /** Sends what is pending now. */
  flush(): void;
  /** Asks for no more data; what was already decrypted may still come. */
  pause(): void;
  resume(): void;
  /** Half-close after what is pending (FIN, or TLS close_notify). */
  end(): void;
  /** Closes at once; `onClose` follows. */
  destroy(): void;
  /** As `destroy`, and the peer sees a reset (TCP RST) instead of an orderly end. */
  reset(): void;
}

export interface TransportHandler {
  /** The buffer is only valid during the call. */
  onData(buffer: Buffer, start: number, end: number): void;
  /** All pending bytes are below the low-water mark again. */
  onDrain(): void;
  /** The peer half-closed. The transport stays open for writing until `end` or `destroy`. */
  onEnd(): void;
  /** Exactly once. */
  onClose(): void;
}

/** Follows a connection without a part in it. */
export interface TransportWatcher {
  /** Exactly once. */
  transportClosed(): void;
}

/** Makes a transport of a connection (for TLS: after its handshake). Set the handler in the same turn. */
export interface Wrap {
  (connection: Connection): Transport;
  /** How connections for it are made; undefined: by sockets of the runtime's. */
  readonly tcp?: TcpBindings | undefined;
}
