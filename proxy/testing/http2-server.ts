import { Http2Connection } from '../http2/connection.ts';
import { PREFACE } from '../http2/frames.ts';
import type { RequestSink } from '../message/message.ts';
import type { Listener } from '../transport/listen.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Transport, Wrap } from '../transport/transport.ts';
import { SETTINGS } from './http2-frames.ts';
import { listenTransports } from './loopback.ts';

/** Serves HTTP/2 as apps speak it, with prior knowledge, on a free loopback port; every request goes to `sink`. */
export function listenHttp2(wrap: Wrap, sink: RequestSink): Promise<Listener> {
  const timers = new TimerWheel();
  return listenTransports(wrap, (transport) => {
    void new Http2Connection(transport, { side: 'server', timers, isthmus: false, route: () => sink });
  });
}

/** A server's connection whose bytes the test feeds. */
export interface FedServer {
  readonly connection: Http2Connection;
  /** Takes these frames in one read. */
  readonly feed: (...frames: Buffer[]) => void;
}

/** Serves one client on a transport, as apps speak HTTP/2; preface and SETTINGS of the client have come. */
export function fedServer(sink: RequestSink, transport: Transport, timers: TimerWheel): FedServer {
  const connection = new Http2Connection(transport, {
    side: 'server',
    timers,
    isthmus: false,
    route: () => sink,
  });
  const feed = (...frames: Buffer[]): void => {
    const bytes = Buffer.concat(frames);
    connection.onData(bytes, 0, bytes.length);
  };
  feed(PREFACE, SETTINGS);
  return { connection, feed };
}
