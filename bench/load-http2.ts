/** A closed loop of HTTP/2 with prior knowledge. Argument: an `Http2Load` as JSON. */
import { connect, type Socket } from 'node:net';
import { Http2Connection } from '../proxy/http2/connection.ts';
import { Head } from '../proxy/message/head.ts';
import { Exchange, type ResponseSink } from '../proxy/message/message.ts';
import { setSpan } from '../proxy/bytes/span.ts';
import { chooseTransport } from '../proxy/transport/choose.ts';
import { TimerWheel } from '../proxy/transport/timers.ts';
import type { Wrap } from '../proxy/transport/transport.ts';
import type { LoadResult } from './load.ts';

export interface Http2Load {
  host: string;
  port: number;
  authority: string;
  path: string;
  connections: number;
  /** Under way at once on each connection. */
  streams: number;
  /** ms. */
  durationMs: number;
}

/** One connection with its streams: every answer is followed by the next request. */
class Client implements ResponseSink {
  readonly #connection: Http2Connection;
  readonly #head = new Head();
  readonly #result: LoadResult;
  readonly #end: number;

  constructor(socket: Socket, wrap: Wrap, timers: TimerWheel, load: Http2Load, result: LoadResult) {
    this.#result = result;
    this.#end = performance.now() + load.durationMs;
    const { method, scheme, authority, path } = this.#head;
    setSpan(method, 'GET');
    setSpan(scheme, 'http');
    setSpan(authority, load.authority);
    setSpan(path, load.path);
    this.#connection = new Http2Connection(wrap(socket), {
      side: 'client',
      timers,
      isthmus: false,
      onReady: () => {
        for (let i = 0; i < load.streams; i++) this.#ask();
      },
    });
  }

  #ask(): void {
    if (performance.now() >= this.#end) {
      if (this.#connection.activeStreams <= 1) setImmediate(() => this.#connection.destroy());
      return;
    }
    const x = new Exchange(this);
    if (this.#connection.open(x)) this.#connection.requestHead(x, this.#head, true);
    else this.#result.failures++;
  }

  #answered(): void {
    this.#result.requests++;
    this.#ask();
  }

  responseHead(_x: Exchange, head: Head, end: boolean): void {
    if (head.status !== 200) this.#result.failures++;
    if (end) this.#answered();
  }
  responseData(x: Exchange, _buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#connection.responseConsumed(x, end - start);
    if (last) this.#answered();
  }
  responseTrailers(): void {
    this.#answered();
  }
  responseReset(): void {
    this.#result.failures++;
  }
  requestConsumed(): void {}
}

const load = JSON.parse(process.argv[2] ?? '') as Http2Load;
const result: LoadResult = { requests: 0, failures: 0 };
const { wrap } = await chooseTransport();
const timers = new TimerWheel();
const closed = Array.from({ length: load.connections }, () => {
  const socket = connect({ host: load.host, port: load.port, noDelay: true, allowHalfOpen: true });
  socket.once('connect', () => new Client(socket, wrap, timers, load, result));
  socket.once('error', () => result.failures++);
  return new Promise<void>((resolve) => socket.once('close', () => resolve()));
});
await Promise.all(closed);
process.send?.({ kind: 'result', result });
process.disconnect?.();
