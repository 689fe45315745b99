import type { Cause } from '../../proxy/errors.ts';
import { Http1ClientConnection } from '../../proxy/http1/client-connection.ts';
import { Head } from '../../proxy/message/head.ts';
import type { Exchange, RequestSink } from '../../proxy/message/message.ts';
import { spanText } from '../../proxy/bytes/span.ts';
import { FakeTransport } from '../../proxy/testing/fake-transport.ts';
import type { TimerWheel } from '../../proxy/transport/timers.ts';

/** A request as a layer saw it, and the bytes that went out for it. */
export interface Relayed {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** `name: value`, names in lower case. */
  readonly fields: readonly string[];
  body: string;
  trailers: string[];
  /** `open`: nothing has ended it. */
  end: 'open' | 'whole' | 'reset';
  /** What the app got. */
  forwarded: string;
  /** It became a tunnel: what the app got goes on behind the request. */
  tunnel: boolean;
}

const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
const SWITCH = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ');
/** A request with this in its path may leave HTTP. */
const MAY_UPGRADE = 'up';

/** Hands requests to an app over HTTP/1.1, each on a connection of its own, and answers for the app as soon as a request has ended. */
export class Http1App implements RequestSink {
  readonly seen: Relayed[] = [];
  readonly #timers: TimerWheel;
  readonly #under = new Map<Exchange, { one: Relayed; out: FakeTransport; to: Http1ClientConnection }>();

  constructor(timers: TimerWheel) {
    this.#timers = timers;
  }

  requestHead(x: Exchange, head: Head, end: boolean): void {
    const out = new FakeTransport();
    const to = new Http1ClientConnection(out, { timers: this.#timers });
    const one: Relayed = {
      method: spanText(head.method),
      authority: spanText(head.authority),
      path: spanText(head.path),
      fields: fieldsOf(head),
      body: '',
      trailers: [],
      end: 'open',
      forwarded: '',
      tunnel: false,
    };
    const upgrade = one.fields.find((field) => field.startsWith('upgrade: '))?.slice('upgrade: '.length);
    this.seen.push(one);
    this.#under.set(x, { one, out, to });
    to.requestHead(x, head, end);
    this.#note(x);
    if (end) this.#answer(x);
    else if (x.upgrade === 'asked' && one.path.includes(MAY_UPGRADE)) {
      one.tunnel = true;
      const answer = Buffer.concat([SWITCH, Buffer.from(`${upgrade}\r\n\r\n`, 'latin1')]);
      to.onData(answer, 0, answer.length);
    } else if (x.upgrade === 'asked') to.onData(ANSWER, 0, ANSWER.length);
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const under = this.#under.get(x);
    if (under === undefined) return;
    under.one.body += buffer.toString('latin1', start, end);
    under.to.requestData(x, buffer, start, end, last);
    this.#note(x);
    if (last) this.#answer(x);
  }

  requestTrailers(x: Exchange, trailers: Head): void {
    const under = this.#under.get(x);
    if (under === undefined) return;
    under.one.trailers = fieldsOf(trailers);
    under.to.requestTrailers(x, trailers);
    this.#note(x);
    this.#answer(x);
  }

  requestReset(x: Exchange, cause: Cause): void {
    const under = this.#under.get(x);
    if (under === undefined) return;
    under.one.end = 'reset';
    this.#under.delete(x);
    under.to.requestReset(x, cause);
  }

  responseConsumed(x: Exchange, n: number): void {
    this.#under.get(x)?.to.responseConsumed(x, n);
  }

  #note(x: Exchange): void {
    const under = this.#under.get(x);
    if (under !== undefined) under.one.forwarded = under.out.text();
  }

  #answer(x: Exchange): void {
    const under = this.#under.get(x);
    if (under === undefined) return;
    under.one.end = 'whole';
    this.#under.delete(x);
    if (!under.one.tunnel) under.to.onData(ANSWER, 0, ANSWER.length);
  }
}

/** Takes opaque streams, says yes, and sends back what comes. */
export class OpaqueApp implements RequestSink {
  readonly #under = new Set<Exchange>();

  /** Streams under way. */
  get open(): number {
    return this.#under.size;
  }

  requestHead(x: Exchange, _head: Head, end: boolean): void {
    this.#under.add(x);
    const answer = new Head();
    answer.status = 200;
    x.client.responseHead(x, answer, false);
    if (end) this.#end(x);
  }
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (!this.#under.has(x)) return;
    x.client.requestConsumed(x, end - start);
    x.client.responseData(x, buffer, start, end, false);
    if (last) this.#end(x);
  }
  requestTrailers(x: Exchange): void {
    this.#end(x);
  }
  requestReset(x: Exchange): void {
    this.#under.delete(x);
  }
  responseConsumed(): void {}

  #end(x: Exchange): void {
    if (!this.#under.delete(x)) return;
    x.client.responseData(x, Buffer.alloc(0), 0, 0, true);
  }
}

/** `name: value`, names in lower case. */
export function fieldsOf(head: Head): string[] {
  return Array.from({ length: head.count }, (_, i) => {
    const name = head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]) ?? '';
    return `${name.toLowerCase()}: ${head.value(i)}`;
  });
}
