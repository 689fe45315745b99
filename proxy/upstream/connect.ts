import type { Cause } from '../errors.ts';
import type { Transport } from '../transport/transport.ts';

/** What a connection is made for. */
export type Carries = 'http1' | 'http2' | 'opaque';

export type Connected =
  /** The transport needs a handler in the same turn. */
  | { readonly kind: 'connected'; readonly transport: Transport }
  | { readonly kind: 'failed'; readonly cause: Cause }
  /** See `Waiter.again`. */
  | { readonly kind: 'again' };

/** Makes a connection. Calls back once. Returns how to give up. */
export type Connect = (carries: Carries, callback: (connected: Connected) => void) => () => void;
