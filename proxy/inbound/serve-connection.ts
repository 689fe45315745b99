import { Http1ServerConnection } from '../http1/server-connection.ts';
import { Http2Connection } from '../http2/connection.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import { OpaqueServerConnection } from '../transport/opaque.ts';
import type { HttpMetrics } from '../telemetry/http-metrics.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import type { TransportHeader } from '../detect/transport-header.ts';
import { connectHead } from '../upstream/connect-head.ts';

export interface ServeOptions {
  transport: Transport;
  /** Bytes that were read before. */
  rest: Buffer;
  /** undefined: opaque. */
  protocol: TransportHeader['protocol'];
  /** Named by the head of an opaque stream. */
  authority: string;
  /** Where all that comes on the connection goes. */
  route: (x: Exchange, head?: Head) => RequestSink;
  timers: TimerWheel;
  http: HttpMetrics;
  /** Holds the connection while it is open. */
  open: Set<{ drain(): void }>;
}

/** Puts the codec on a connection whose protocol and target a transport header has told. */
export function serveConnection(options: ServeOptions): void {
  const { transport, rest, protocol, authority, route, timers, http, open } = options;
  if (protocol === undefined) {
    const opaque = new OpaqueServerConnection(transport, (x) => {
      x.opaque = true;
      return route(x);
    });
    transport.handler = opaque;
    opaque.start(connectHead(authority), rest);
    return;
  }
  const onClose = (): void => {
    open.delete(connection);
  };
  const onRefused = http.refusedInbound;
  const connection: Http1ServerConnection | Http2Connection =
    protocol === 'http1'
      ? new Http1ServerConnection(transport, { timers, route, onRefused, onClose })
      : new Http2Connection(transport, { side: 'server', isthmus: false, timers, route, onRefused, onClose });
  open.add(connection);
  transport.handler = connection;
  if (rest.length > 0) connection.onData(rest, 0, rest.length);
}
