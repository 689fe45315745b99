import type { Socket } from 'node:net';
import type { Timer, TimerWheel } from './transport/timers.ts';

/** What a connection speaks. */
export type Protocol =
  | { kind: 'http1' }
  | { kind: 'http2' }
  | { kind: 'tls'; serverName: string; alpn: readonly string[] }
  | { kind: 'opaque'; reason: 'bytes' | 'limit' | 'timeout' | 'end' };

/** Incremental: feed it all bytes so far, in any pieces; it decides once. */
export declare class Detector {
  /** `limit`: bytes after which an undecided connection is opaque. */
  constructor(limit?: number);
  /** The decision, or undefined while it needs more bytes. */
  push(buffer: Buffer, start: number, end: number): Protocol | undefined;
}

export interface DetectOptions {
  timers: TimerWheel;
  /** ms after which an undecided connection is opaque (servers that speak first). */
  timeoutMs: number;
  limit?: number;
}

/**
 * Reads from a socket that is not wrapped yet, decides, and puts the bytes back (`socket.unshift`): wrap it or accept TLS on it in the callback's turn.
 * Calls back exactly once; undefined: the connection closed before.
 */
export declare function detectSocket(
  socket: Socket,
  options: DetectOptions,
  callback: (protocol: Protocol | undefined) => void,
): Timer;
