import { spanText } from '../../proxy/bytes/span.ts';
import { Http2Connection } from '../../proxy/http2/connection.ts';
import { PREFACE } from '../../proxy/http2/frames.ts';
import { Head } from '../../proxy/message/head.ts';
import type { Exchange, RequestSink } from '../../proxy/message/message.ts';
import { FakeTransport } from '../../proxy/testing/fake-transport.ts';
import { SETTINGS } from '../../proxy/testing/http2-frames.ts';
import { TimerWheel } from '../../proxy/transport/timers.ts';
import { readSaid, type Said } from '../testing/http2-reference.ts';

/** Answers each request when it has ended, but those that are to wait; an opaque stream is taken at once, and the answer of one for `ended` ends, too. */
class Answering implements RequestSink {
  requestHead(x: Exchange, head: Head, end: boolean): void {
    if (x.opaque) answer(x, 200, spanText(head.authority) === 'ended');
    else if (end && spanText(head.path) !== '/wait') answer(x, 204, true);
  }
  requestData(x: Exchange, _buffer: Buffer, _start: number, _end: number, last: boolean): void {
    if (last && !x.opaque) answer(x, 204, true);
  }
  requestTrailers(x: Exchange): void {
    if (!x.opaque) answer(x, 204, true);
  }
  requestReset(): void {}
  responseConsumed(): void {}
}

function answer(x: Exchange, status: number, end: boolean): void {
  const head = new Head();
  head.status = status;
  x.client.responseHead(x, head, end);
}

/** What a server did with what it was sent. */
export interface Heard {
  readonly said: readonly Said[];
  readonly transport: FakeTransport;
  /** Requests that a layer saw. */
  readonly routed: number;
}

/** What a client sends behind its preface and SETTINGS. */
export interface Sent {
  readonly sends: readonly Buffer[];
  /** What is sent stands instead of preface and SETTINGS. */
  readonly raw?: boolean;
  /** The client is one of our proxies. */
  readonly isthmus?: boolean;
  /** Bytes a read: default all at once. */
  readonly pieces?: number;
}

/** Sends it to a server of ours that answers 204, and closes the connection. */
export function serve({ sends, raw = false, isthmus = false, pieces = Infinity }: Sent): Heard {
  const transport = new FakeTransport();
  const sink = new Answering();
  let routed = 0;
  const connection = new Http2Connection(transport, {
    side: 'server',
    timers: new TimerWheel(() => 0),
    isthmus,
    route: () => {
      routed++;
      return sink;
    },
  });
  const bytes = Buffer.concat(raw ? sends : [PREFACE, SETTINGS, ...sends]);
  for (let at = 0; at < bytes.length; at += pieces)
    connection.onData(bytes, at, Math.min(bytes.length, at + pieces));
  const said = readSaid(transport.bytes());
  connection.onClose();
  return { said, transport, routed };
}
