import type { Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport } from '../transport/transport.ts';
import type { Http1ServerConnection } from './server-connection.ts';

/** What a connection from a client needs: one for all that are served alike, since what is asked for at each request is then in the processor's cache. */
export interface Http1ServerOptions {
  timers: TimerWheel;
  /** Says where a request goes; `requestHead` of the answer is called next, by the codec. */
  route(x: Exchange, head: Head): RequestSink;
  /**
   * CONNECT: a cause refuses it; a function accepts it: it is called after the 200 has been written, with the transport (set its handler at once) and the bytes
   * that came behind the head (a copy). Absent: CONNECT is refused.
   */
  onConnect?(
    head: Head,
    connection: Http1ServerConnection,
  ): Cause | ((transport: Transport, rest: Buffer) => void);
  /** A head that was refused before there was an exchange; for counting. */
  onRefused?(cause: Cause): void;
  /** Exactly once, when the connection is gone. Not after CONNECT handed its transport over. */
  onClose?(connection: Http1ServerConnection): void;
}
