import { Http2Connection } from '../http2/connection.ts';
import type { RequestSink } from '../message/message.ts';
import type { Listener } from '../transport/listen.ts';
import { TimerWheel } from '../transport/timers.ts';
import type { Wrap } from '../transport/transport.ts';
import { listenTransports } from './loopback.ts';

/** Serves HTTP/2 as apps speak it, with prior knowledge, on a free loopback port; every request goes to `sink`. */
export function listenHttp2(wrap: Wrap, sink: RequestSink): Promise<Listener> {
  const timers = new TimerWheel();
  return listenTransports(wrap, (transport) => {
    void new Http2Connection(transport, { side: 'server', timers, isthmus: false, route: () => sink });
  });
}
