import type { Wrap } from './transport.ts';

/** Tries the socket-handle transport on a loopback connection; public streams when this runtime does not pass. Call once at start-up. */
export declare function chooseTransport(): Promise<{ kind: 'handle' | 'stream'; wrap: Wrap; reason: string }>;
