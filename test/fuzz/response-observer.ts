import type { Cause } from '../../proxy/errors.ts';
import { SWITCHING_PROTOCOLS } from '../../proxy/message/head.ts';
import type { Head } from '../../proxy/message/head.ts';
import { Layer } from '../../proxy/message/message.ts';
import type { Exchange, ResponseSink } from '../../proxy/message/message.ts';
import { fieldsOf } from './relay.ts';

/** A layer that writes down the answer which passes through it. For one exchange. */
export class ResponseObserver extends Layer {
  readonly heads: { status: number; fields: string[] }[] = [];
  body = '';
  trailers: string[] = [];
  end: 'open' | 'whole' | 'reset' = 'open';
  #outer: ResponseSink | undefined = undefined;

  /** What came, without where its pieces ended. */
  get meaning(): object {
    const { heads, body, trailers, end } = this;
    return { heads, body, trailers, end };
  }
  /** The head of the answer itself. */
  get final(): { status: number; fields: string[] } | undefined {
    return this.heads.find(({ status }) => status >= 200 || status === SWITCHING_PROTOCOLS);
  }

  protected override outer(x: Exchange): ResponseSink {
    return this.#outer ?? x.client;
  }
  override requestHead(x: Exchange, head: Head, end: boolean): void {
    this.#outer = x.client;
    x.client = this;
    super.requestHead(x, head, end);
  }
  override responseHead(x: Exchange, head: Head, end: boolean): void {
    this.heads.push({ status: head.status, fields: fieldsOf(head) });
    if (end) this.end = 'whole';
    super.responseHead(x, head, end);
  }
  override responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.body += buffer.toString('latin1', start, end);
    if (last) this.end = 'whole';
    super.responseData(x, buffer, start, end, last);
  }
  override responseTrailers(x: Exchange, trailers: Head): void {
    this.trailers = fieldsOf(trailers);
    this.end = 'whole';
    super.responseTrailers(x, trailers);
  }
  override responseReset(x: Exchange, cause: Cause): void {
    this.end = 'reset';
    super.responseReset(x, cause);
  }
}
