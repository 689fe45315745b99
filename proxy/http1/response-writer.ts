import { SWITCHING_PROTOCOLS, type Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import type { Transport } from '../transport/transport.ts';
import { BodyWriter } from './body-writer.ts';
import type { OutgoingBody } from './body-writer.ts';
import { writeResponseHead } from './head-writer.ts';
import type { OutgoingFraming } from './head-writer.ts';

/** Writes one response after the other, framed as the client understands it. */
export class ResponseWriter {
  /** The final head of the response under way has been written. */
  headSent = false;
  /** The body ends with the connection, or the client asked for it: nothing may follow. */
  close = false;
  readonly #transport: Transport;
  readonly #body = new BodyWriter();
  #http10 = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The end of the body under way, or of the last one, is that of the connection. */
  get endsWithConnection(): boolean {
    return this.#body.kind === 'close';
  }

  /** A request has come. `close`: its response is the last. */
  begin(http10: boolean, close: boolean): void {
    this.headSent = false;
    this.close = close;
    this.#http10 = http10;
  }

  /** @returns whether the output has room */
  head(x: Exchange, head: Head, end: boolean): boolean {
    if (head.status === SWITCHING_PROTOCOLS) {
      this.headSent = true;
      this.close = true;
      this.#body.begin('close', -1);
    }
    if (head.status < 200) {
      // An HTTP/1.0 client does not know informational responses.
      return this.#http10 || writeResponseHead(this.#transport, head, 'declared', 'none');
    }
    this.headSent = true;
    const body = this.#bodyOf(x, head, end);
    if (body === 'close') this.close = true;
    this.#body.begin(body, head.contentLength);
    const option = this.close ? 'close' : this.#http10 ? 'keep-alive' : 'none';
    return writeResponseHead(this.#transport, head, framingOf(x, head, body, end), option);
  }

  /** 'mismatch': not what the head declared. */
  data(buffer: Buffer, start: number, end: number, last: boolean): 'room' | 'full' | 'mismatch' {
    return this.#body.write(this.#transport, buffer, start, end, last);
  }

  trailers(trailers: Head): 'room' | 'full' | 'mismatch' {
    return this.#body.writeTrailers(this.#transport, trailers);
  }

  #bodyOf(x: Exchange, head: Head, end: boolean): OutgoingBody {
    if (end || x.isHead || head.status === 204 || head.status === 304) return 'none';
    if (head.contentLength >= 0) return 'length';
    return this.#http10 ? 'close' : 'chunked';
  }
}

function framingOf(x: Exchange, head: Head, body: OutgoingBody, end: boolean): OutgoingFraming {
  if (body === 'chunked') return 'chunked';
  if (body === 'close') return 'close';
  if (head.status === 204) return 'close';
  const bodiless = x.isHead || head.status === 304;
  return end && !bodiless && head.contentLength < 0 ? 'empty' : 'declared';
}
