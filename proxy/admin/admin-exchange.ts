import type { AdminAnswer, AdminRequest } from './admin-answers.ts';
import { causes } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';
import { lastingField } from '../message/lasting-field.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import { spanText } from '../bytes/span.ts';

/** Fields of an answer: no more than these four. */
const FIELDS = 4;
/** Bytes of a body that is read: a filter for the log is shorter. */
const MAX_BODY = 4 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** The admin server's side of a connection: answers one request after the other. */
export class AdminExchange implements RequestSink {
  readonly #answer: (request: AdminRequest) => AdminAnswer;
  /** A PUT whose body is being read. */
  #reading: { x: Exchange; path: string; body: Buffer[]; bytes: number } | undefined;
  /** The request whose answer is being written; undefined: none is, or its client has gone. */
  #exchange: Exchange | undefined;
  /** Bytes that were written and not taken. */
  #waiting = 0;
  /** Somebody waits for there to be none, or for the end of the exchange. */
  #moved: (() => void) | undefined;

  /** @param answer what to say to a request */
  constructor(answer: (request: AdminRequest) => AdminAnswer) {
    this.#answer = answer;
  }

  requestHead(x: Exchange, head: Head, end: boolean): void {
    const [path = ''] = spanText(head.path).split('?');
    const method = spanText(head.method);
    // Nobody here reads a body but of a PUT.
    if (method === 'PUT' && !end) this.#reading = { x, path, body: [], bytes: 0 };
    else this.#respond(x, { method, path, body: '' });
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const reading = this.#reading;
    if (reading?.x === x) {
      reading.bytes += end - start;
      // The bytes are the connection's, and stand only until it reads again.
      if (reading.bytes <= MAX_BODY) reading.body.push(Buffer.from(buffer.subarray(start, end)));
    }
    x.client.requestConsumed(x, end - start);
    if (last) this.#requestEnded(x);
  }

  requestTrailers(x: Exchange): void {
    this.#requestEnded(x);
  }

  #requestEnded(x: Exchange): void {
    const reading = this.#reading;
    if (reading?.x !== x) return;
    this.#reading = undefined;
    const { path, body } = reading;
    if (reading.bytes > MAX_BODY) this.#write(x, TOO_LARGE);
    else this.#respond(x, { method: 'PUT', path, body: Buffer.concat(body).toString() });
  }

  #respond(x: Exchange, request: AdminRequest): void {
    this.#write(x, this.#answer(request));
  }

  #write(x: Exchange, answer: AdminAnswer): void {
    const { status, body, afterwards } = answer;
    if (typeof body !== 'string') {
      x.client.responseHead(x, headOf(answer, undefined), x.isHead);
      if (!x.isHead) void this.#stream(x, body);
      return;
    }
    const bytes = Buffer.from(body);
    // RFC 9110 section 8.6: 204 has no body, and no length.
    const empty = status === 204;
    x.client.responseHead(x, headOf(answer, empty ? undefined : bytes.length), empty || x.isHead);
    if (!empty && !x.isHead) x.client.responseData(x, bytes, 0, bytes.length, true);
    afterwards?.();
  }

  requestReset(x: Exchange): void {
    if (this.#reading?.x === x) this.#reading = undefined;
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

const TOO_LARGE: AdminAnswer = { status: 413, type: 'text/plain', body: 'the body is too large\n' };

/** @param length bytes; undefined: it is told by the framing */
function headOf({ status, type, allow }: AdminAnswer, length: number | undefined): Head {
  const head = new Head(FIELDS);
  head.status = status;
  head.addLasting(FieldId.contentType, lastingField('content-type', type));
  // RFC 9110 section 6.6.1: who has a clock tells the time.
  head.addLasting(FieldId.other, lastingField('date', new Date().toUTCString()));
  if (allow !== undefined) head.addLasting(FieldId.other, lastingField('allow', allow));
  if (length === undefined) return head;
  head.contentLength = length;
  head.addLasting(FieldId.contentLength, lastingField('content-length', String(length)));
  return head;
}
