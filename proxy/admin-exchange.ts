import type { AdminAnswer } from './admin-answers.ts';
import { causes } from './errors.ts';
import { FieldId } from './field-id.ts';
import { Head } from './head.ts';
import { lastingField } from './lasting-field.ts';
import type { Exchange, RequestSink } from './message.ts';
import { spanText } from './span.ts';

/** Fields of an answer: no more than these three. */
const FIELDS = 3;
const NO_BYTES = Buffer.alloc(0);

/** The admin server's side of a connection: answers one request after the other. */
export class AdminExchange implements RequestSink {
  readonly #answer: (method: string, path: string) => AdminAnswer;
  /** The request whose answer is being written; undefined: none is, or its client has gone. */
  #exchange: Exchange | undefined;
  /** Bytes that were written and not taken. */
  #waiting = 0;
  /** Somebody waits for there to be none, or for the end of the exchange. */
  #moved: (() => void) | undefined;

  /** @param answer what to say to a request; the path has no query */
  constructor(answer: (method: string, path: string) => AdminAnswer) {
    this.#answer = answer;
  }

  requestHead(x: Exchange, head: Head): void {
    const [path = ''] = spanText(head.path).split('?');
    const { status, type, body, afterwards } = this.#answer(spanText(head.method), path);
    if (typeof body !== 'string') {
      x.client.responseHead(x, headOf(status, type, undefined), x.isHead);
      if (!x.isHead) void this.#stream(x, body);
      return;
    }
    const bytes = Buffer.from(body);
    x.client.responseHead(x, headOf(status, type, bytes.length), x.isHead);
    if (!x.isHead) x.client.responseData(x, bytes, 0, bytes.length, true);
    afterwards?.();
  }

  requestData(x: Exchange, _buffer: Buffer, start: number, end: number): void {
    // Nobody here reads a request's body.
    x.client.requestConsumed(x, end - start);
  }

  requestTrailers(): void {}

  requestReset(x: Exchange): void {
    if (x !== this.#exchange) return;
    this.#exchange = undefined;
    this.#moved?.();
  }

  responseConsumed(x: Exchange, n: number): void {
    if (x !== this.#exchange) return;
    this.#waiting -= n;
    if (this.#waiting === 0) this.#moved?.();
  }

  /** Who reads slowly gets it slowly: what waits is not kept in memory. Never rejects. */
  async #stream(x: Exchange, slices: AsyncGenerator<string>): Promise<void> {
    this.#exchange = x;
    this.#waiting = 0;
    try {
      for await (const slice of slices) {
        if (this.#exchange !== x) return;
        const bytes = Buffer.from(slice);
        this.#waiting += bytes.length;
        x.client.responseData(x, bytes, 0, bytes.length, false);
        await this.#taken(x);
      }
    } catch {
      if (this.#exchange === x) x.client.responseReset(x, causes.internal);
      return;
    }
    if (this.#exchange !== x) return;
    this.#exchange = undefined;
    x.client.responseData(x, NO_BYTES, 0, 0, true);
  }

  /** Resolves when all is taken, or nobody is left who reads. */
  #taken(x: Exchange): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting === 0 || this.#exchange !== x) return resolve();
      this.#moved = () => {
        this.#moved = undefined;
        resolve();
      };
    });
  }
}

/** @param length bytes; undefined: it is told by the framing */
function headOf(status: number, type: string, length: number | undefined): Head {
  const head = new Head(FIELDS);
  head.status = status;
  head.addLasting(FieldId.contentType, lastingField('content-type', type));
  // RFC 9110 section 6.6.1: who has a clock tells the time.
  head.addLasting(FieldId.other, lastingField('date', new Date().toUTCString()));
  if (length === undefined) return head;
  head.contentLength = length;
  head.addLasting(FieldId.contentLength, lastingField('content-length', String(length)));
  return head;
}
