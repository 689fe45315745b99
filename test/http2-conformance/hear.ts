import { Http2Connection } from '../../proxy/http2/connection.ts';
import type { Head } from '../../proxy/message/head.ts';
import { Exchange, type ResponseSink } from '../../proxy/message/message.ts';
import { FakeTransport } from '../../proxy/testing/fake-transport.ts';
import { SETTINGS } from '../../proxy/testing/http2-frames.ts';
import { requestHead } from '../../proxy/testing/request-head.ts';
import { TimerWheel } from '../../proxy/transport/timers.ts';
import { readSaid, type Said } from '../testing/http2-reference.ts';

/** `begun`: a head has come, or nothing yet. */
type Got = 'begun' | 'whole' | 'broken';

/** What a client of ours did with what a server sent, and what became of its requests, by stream. */
export interface HeardByClient {
  readonly said: readonly Said[];
  readonly answers: Readonly<Record<number, Got>>;
}

class Answer implements ResponseSink {
  got: Got = 'begun';
  responseHead(_x: Exchange, _head: Head, end: boolean): void {
    if (end) this.got = 'whole';
  }
  responseData(_x: Exchange, _buffer: Buffer, _start: number, _end: number, last: boolean): void {
    if (last) this.got = 'whole';
  }
  responseTrailers(): void {
    this.got = 'whole';
  }
  responseReset(): void {
    this.got = 'broken';
  }
  requestConsumed(): void {}
}

/**
 * Opens streams 1 (POST, whose body goes on), 3 and 5 (GET), and reads what the server sends behind its SETTINGS.
 * `pieces`: bytes a read, default all at once.
 */
export function hear(sends: readonly Buffer[], pieces = Infinity): HeardByClient {
  const transport = new FakeTransport();
  const timers = new TimerWheel(() => 0);
  const connection = new Http2Connection(transport, { side: 'client', timers, isthmus: false });
  connection.onData(SETTINGS, 0, SETTINGS.length);
  const requests = ['POST', 'GET', 'GET'].map((method) => {
    const answer = new Answer();
    connection.requestHead(new Exchange(answer), requestHead({ method }), method === 'GET');
    return answer;
  });
  transport.take();
  const bytes = Buffer.concat(sends);
  for (let at = 0; at < bytes.length; at += pieces)
    connection.onData(bytes, at, Math.min(bytes.length, at + pieces));
  const said = readSaid(transport.bytes());
  return { said, answers: Object.fromEntries(requests.map(({ got }, i) => [2 * i + 1, got])) };
}
