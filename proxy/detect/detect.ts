import type { Socket } from 'node:net';
import { isToken, parseDecimal } from '../bytes/characters.ts';
import { parseClientHello } from './client-hello.ts';
import { Timer } from '../transport/timers.ts';
import type { TimerWheel } from '../transport/timers.ts';

/** What a connection speaks. */
export type Protocol =
  | { kind: 'http1' }
  | { kind: 'http2' }
  | { kind: 'tls'; serverName: string; alpn: readonly string[] }
  /** `marked`: by its port or Service, the bytes were not looked at. */
  | { kind: 'opaque'; reason: 'bytes' | 'limit' | 'timeout' | 'end' | 'marked' };

/** Bytes after which an undecided connection is opaque. A ClientHello with a hybrid key share has 1.5 KiB, a request line with a long query some more. */
export const DETECT_LIMIT = 16 * 1024;

const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const VERSION = Buffer.from(' HTTP/1.');
/** Methods in use have at most 17 characters (UPDATEREDIRECTREF). */
const MAX_METHOD = 24;
const TLS_HANDSHAKE = 22;
const NO_BYTES = Buffer.alloc(0);

/** Incremental: feed it the bytes in any pieces; it decides once, and the same whatever the pieces. */
export class Detector {
  readonly #limit: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(limit: number = DETECT_LIMIT) {
    this.#limit = limit;
  }

  /** The decision, or undefined while it needs more bytes. */
  push(buffer: Buffer, start: number, end: number): Protocol | undefined {
    const room = Math.max(0, this.#limit - this.#bytes.length);
    this.#bytes = Buffer.concat([this.#bytes, buffer.subarray(start, Math.min(end, start + room))]);
    const found = detect(this.#bytes);
    if (found !== undefined) return found;
    return this.#bytes.length >= this.#limit ? { kind: 'opaque', reason: 'limit' } : undefined;
  }
}

function detect(b: Buffer): Protocol | undefined {
  if (b.length === 0) return undefined;
  if (b[0] === TLS_HANDSHAKE) {
    const hello = parseClientHello(b);
    if (hello === 'more') return undefined;
    return hello === 'not-tls' ? { kind: 'opaque', reason: 'bytes' } : { kind: 'tls', ...hello };
  }
  const n = Math.min(b.length, HTTP2_PREFACE.length);
  if (HTTP2_PREFACE.compare(b, 0, n, 0, n) === 0)
    return n === HTTP2_PREFACE.length ? { kind: 'http2' } : undefined;
  return detectHttp1(b);
}

/** A request line: a token, a target, the version. Empty lines before it are allowed (RFC 9112 section 2.2). */
function detectHttp1(b: Buffer): Protocol | undefined {
  const opaque = { kind: 'opaque', reason: 'bytes' } as const;
  let start = 0;
  while (b[start] === 13 || b[start] === 10) start++;
  const space = b.indexOf(32, start);
  const methodEnd = space < 0 ? b.length : space;
  if (methodEnd - start > MAX_METHOD) return opaque;
  if (methodEnd > start && !isToken(b, start, methodEnd)) return opaque;
  if (space === start) return opaque;
  const line = b.indexOf(10, start);
  const lineEnd = line < 0 ? b.length : line;
  for (let i = start; i < lineEnd; i++) if ((b[i] ?? 0) < 32 && b[i] !== 13) return opaque;
  if (line < 0) return undefined;
  // " HTTP/1.x" and perhaps CR.
  const end = b[line - 1] === 13 ? line - 1 : line;
  const version = end - VERSION.length - 1;
  const isRequest =
    version > start && VERSION.compare(b, version, end - 1) === 0 && parseDecimal(b, end - 1, end) >= 0;
  return isRequest ? { kind: 'http1' } : opaque;
}

/** How long and how far to look. */
export interface DetectOptions {
  timers: TimerWheel;
  /** ms after which an undecided connection is opaque: its server may be the one that speaks first. */
  timeoutMs: number;
  limit?: number;
}

/**
 * Reads from a socket that is not wrapped yet, decides, and puts the bytes back (`socket.unshift`): wrap it or accept TLS on it in the callback's turn.
 * Calls back exactly once; undefined: the connection closed before. `rest`: bytes that could not be put back, since the client had ended already; empty else.
 */
export function detectSocket(
  socket: Socket,
  options: DetectOptions,
  callback: (protocol: Protocol | undefined, rest: Buffer) => void,
): void {
  const detector = new Detector(options.limit);
  const chunks: Buffer[] = [];
  const finish = (protocol: Protocol | undefined): void => {
    options.timers.cancel(timer);
    socket.off('readable', readable);
    socket.off('end', ended);
    socket.off('close', closed);
    const bytes = Buffer.concat(chunks);
    if (socket.readableEnded || protocol === undefined) {
      callback(protocol, bytes);
      return;
    }
    if (bytes.length > 0) socket.unshift(bytes);
    callback(protocol, NO_BYTES);
  };
  const timer = new Timer(() => finish({ kind: 'opaque', reason: 'timeout' }));
  const readable = (): void => {
    for (;;) {
      const chunk: unknown = socket.read();
      if (!(chunk instanceof Buffer)) return;
      chunks.push(chunk);
      const found = detector.push(chunk, 0, chunk.length);
      if (found === undefined) continue;
      finish(found);
      return;
    }
  };
  const ended = (): void => finish({ kind: 'opaque', reason: 'end' });
  const closed = (): void => finish(undefined);
  socket.on('readable', readable);
  socket.on('end', ended);
  socket.on('close', closed);
  options.timers.arm(timer, options.timeoutMs);
}
