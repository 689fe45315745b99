import { equalBytes } from '../bytes/bytes.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, ResponseSink } from '../message/message.ts';
import type { Cause } from '../errors.ts';

/**
 * Linkerd's proxies carry HTTP/1.1 of their apps in HTTP/2, and say so in a field, both ways: the proxy at the other end makes HTTP/1.1 of it again.
 * What an app itself writes into that field goes nowhere.
 */
const NAME = Buffer.from('l5d-orig-proto');
const HTTP1 = Buffer.from('HTTP/1.1');
const HOST = Buffer.from('host');

/** The message was HTTP/1.1 before it came into HTTP/2. */
function carriesHttp1(head: Head): boolean {
  for (let i = head.find(FieldId.l5dOther); i >= 0; i = head.find(FieldId.l5dOther, i + 1))
    if (isOrigProto(head.nameBuffer[i], head.nameStart[i] ?? 0, head.nameEnd[i] ?? 0)) return true;
  return false;
}

/**
 * Marks a request of HTTP/1.1 that leaves in HTTP/2. The authority is written as `host`, too: Linkerd's inbound side
 * does not derive it, and its app would get a request without one. Not so for its gateway, which wants the authority
 * alone.
 */
export function markRequest(head: Head, withHost: boolean): void {
  head.add(FieldId.l5dOther, NAME, 0, NAME.length, HTTP1, 0, HTTP1.length);
  const { buffer, start, end } = head.authority;
  // As a field like any other: codecs leave a Host out of HTTP/2.
  if (withHost) head.add(FieldId.other, HOST, 0, HOST.length, buffer, start, end);
}

/** Takes the marks away. */
export function unmark(head: Head): void {
  head.removeNamed(isMark);
}

/** The server's side of one HTTP/2 connection: requests that were HTTP/1.1 become that again, and their answers say so. */
export class OrigProtoServer {
  #responses: ResponseSink | undefined;

  /** Looks at a request before it is routed. */
  take(x: Exchange, head: Head): void {
    if (!x.http2 || !carriesHttp1(head)) return;
    unmark(head);
    x.http2 = false;
    // All exchanges of a connection have the same codec behind them.
    x.client = this.#responses ??= new MarkedResponses(x.client);
  }
}

class MarkedResponses implements ResponseSink {
  readonly #codec: ResponseSink;

  constructor(codec: ResponseSink) {
    this.#codec = codec;
  }

  responseHead(x: Exchange, head: Head, end: boolean): void {
    unmark(head);
    head.add(FieldId.l5dOther, NAME, 0, NAME.length, HTTP1, 0, HTTP1.length);
    this.#codec.responseHead(x, head, end);
  }
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.#codec.responseData(x, buffer, start, end, last);
  }
  responseTrailers(x: Exchange, trailers: Head): void {
    this.#codec.responseTrailers(x, trailers);
  }
  responseReset(x: Exchange, cause: Cause): void {
    this.#codec.responseReset(x, cause);
  }
  requestConsumed(x: Exchange, n: number): void {
    this.#codec.requestConsumed(x, n);
  }
}

function isOrigProto(name: Buffer | undefined, start: number, end: number): boolean {
  return name !== undefined && equalBytes(name, start, end, NAME);
}

/** A `host` among the fields is one that `markRequest` wrote: codecs give the Host as the authority. */
function isMark(name: Buffer, start: number, end: number): boolean {
  return equalBytes(name, start, end, NAME) || equalBytes(name, start, end, HOST);
}
