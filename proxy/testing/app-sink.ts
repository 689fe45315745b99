import type { Cause } from '../errors.ts';
import { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';

/** The app behind a server's connection: keeps what it is asked, and answers at once with a body or when it is told to. */
export class AppSink implements RequestSink {
  readonly exchanges: Exchange[] = [];
  readonly resets: Cause[] = [];
  /** Bytes of its answers that the connection has got rid of. */
  consumed = 0;
  readonly #body: Buffer | undefined;

  /** @param body what every request is answered with; without one it answers when it is told to */
  constructor(body?: Buffer) {
    this.#body = body;
  }

  /** Answers one request. */
  answer(x: Exchange, body: Buffer): void {
    const head = new Head();
    head.status = 200;
    head.contentLength = body.length;
    x.client.responseHead(x, head, body.length === 0);
    if (body.length > 0) x.client.responseData(x, body, 0, body.length, true);
  }

  requestHead(x: Exchange): void {
    this.exchanges.push(x);
    if (this.#body !== undefined) this.answer(x, this.#body);
  }
  requestData(): void {}
  requestTrailers(): void {}
  requestReset(_x: Exchange, cause: Cause): void {
    this.resets.push(cause);
  }
  responseConsumed(_x: Exchange, n: number): void {
    this.consumed += n;
  }
}
