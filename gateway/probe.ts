import { Head, spanText, type Exchange, type RequestSink } from '../proxy/index.ts';

const OK = 200;
const UNAVAILABLE = 503;

/** Answers `GET /ready` of the gateway itself (ARCHITECTURE.md 4): the mirror controllers' probe, over the same mutual TLS as the traffic. */
export class Probe implements RequestSink {
  readonly #unready: () => string | undefined;

  constructor(unready: () => string | undefined) {
    this.#unready = unready;
  }

  serves(head: Head): boolean {
    const method = spanText(head.method);
    return (method === 'GET' || method === 'HEAD') && spanText(head.path) === '/ready';
  }

  requestHead(x: Exchange): void {
    const answer = new Head();
    answer.status = this.#unready() === undefined ? OK : UNAVAILABLE;
    answer.contentLength = 0;
    x.client.responseHead(x, answer, true);
  }

  requestData(x: Exchange, _buffer: Buffer, start: number, end: number): void {
    x.client.requestConsumed(x, end - start);
  }

  requestTrailers(): void {}
  requestReset(): void {}
  responseConsumed(): void {}
}
