import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import { Http2Connection } from '../http2/connection.ts';
import type { Http2Options } from '../http2/connection.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Wrap } from '../transport/transport.ts';
import type { TestCertificates } from './certificates.ts';
import { transportPair } from './loopback.ts';

/** Both ends of an `isthmus/1` connection. */
export interface Http2Pair {
  client: Http2Connection;
  server: Http2Connection;
}

/** Connects both ends over loopback; resolves when requests may be opened. */
export async function http2Pair(
  wrap: Wrap,
  timers: TimerWheel,
  route: (x: Exchange, head: Head) => RequestSink,
  extra: {
    client?: Partial<Http2Options>;
    server?: Partial<Http2Options>;
    certificates?: TestCertificates;
  } = {},
): Promise<Http2Pair> {
  const transports = await transportPair(wrap, extra.certificates);
  const ready = Promise.withResolvers<void>();
  const server = new Http2Connection(transports.server, {
    side: 'server',
    timers,
    isthmus: true,
    route,
    ...extra.server,
  });
  const client = new Http2Connection(transports.client, {
    side: 'client',
    timers,
    isthmus: true,
    onReady: () => ready.resolve(),
    ...extra.client,
  });
  await ready.promise;
  return { client, server };
}
