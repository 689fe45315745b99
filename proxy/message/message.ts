import { causes, type Cause } from '../errors.ts';
import type { Head } from './head.ts';

/**
 * The one form in which a message passes between layers. Heads and data are only valid during the call that hands them over; who needs them longer copies.
 */

/**
 * One request with its response, or one opaque TCP stream, on its way through the layers. The codec that received it makes it. Its shape is fixed: a layer that
 * keeps state per request has a slot here, so that no map or closure is needed on the data path.
 */
export class Exchange {
  /** Where responses go: the codec that received the request, or the outermost layer of a stack. */
  client: ResponseSink;
  /** Codec state of the receiving side (an HTTP/2 stream, an HTTP/1 connection). */
  clientStream: unknown = undefined;
  /** Codec state of the sending side. */
  upstreamStream: unknown = undefined;
  /** ms of the monotonic clock, when the head arrived (0: not yet). */
  startedAt = 0;
  status = 0;
  isHead = false;
  /**
   * It may be sent again elsewhere: the peer said that it did not process the request (GOAWAY, REFUSED_STREAM), nothing
   * was sent, or a kept connection of HTTP/1 closed under one that is idempotent.
   */
  refused = false;
  /** The stream is opaque bytes (CONNECT of `isthmus/1`, opaque TCP). */
  opaque = false;
  /** The app that asks speaks HTTP/2, and the app that is asked gets it. */
  http2 = false;
  /** A call of gRPC over HTTP/2: what the proxy itself answers is a status of gRPC. Set by the codec. */
  grpc = false;
  /**
   * `asked`: the request asks to leave HTTP (`Upgrade`): nothing follows its head until it is answered. `done`: the
   * answer was 101, and from there on the exchange is opaque bytes, whose two directions end each by itself. Set by the
   * codecs.
   */
  upgrade: 'no' | 'asked' | 'done' = 'no';
  /**
   * RFC 9113 error code by which either side reset its stream, never that it refused it; 0: none did. It goes on to the
   * other side: an app's reasons are its own.
   */
  resetCode = 0;
  requestEnded = false;
  responseEnded = false;
  /** ms of the monotonic clock when the answer must be there, carried on to the next hop; 0: no deadline. */
  deadline = 0;
  // Telemetry's own: an object for them would be one more a request.
  /** What the answer's head said of gRPC, and whether the exchange has been counted. */
  grpcStatus = 0;
  counted = false;
  /**
   * Slots of the layers, typed where they are used: who follows the request, the route and its running limits, the
   * attempt to send it, the policy's verdict.
   */
  observed: unknown = undefined;
  route: unknown = undefined;
  limits: unknown = undefined;
  attempt: unknown = undefined;
  verdict: unknown = undefined;
  /** Who is at the other end of the connection (what a gateway's observers tell of it), and the client that a gateway asserted (believed or absent). */
  peer: unknown = undefined;
  assertedClient: string | undefined = undefined;

  constructor(client: ResponseSink) {
    this.client = client;
  }
}

/**
 * Does the client hear of this failure by a reset with the app's own code, even where it has no head yet? As with Linkerd: libraries of gRPC read the code, and
 * CANCEL at a deadline is how a server says that the deadline is over. An answer in its place would say that the server is unavailable.
 */
export function passesReset(x: Exchange, cause: Cause): boolean {
  return x.http2 && x.resetCode !== 0 && cause === causes.upstreamReset;
}

/** Takes a request: a layer, or the codec of the connection that it leaves on. */
export interface RequestSink {
  requestHead(x: Exchange, head: Head, end: boolean): void;
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void;
  /** Ends the request. */
  requestTrailers(x: Exchange, trailers: Head): void;
  /** The client gave the request up. Nothing comes after it. */
  requestReset(x: Exchange, cause: Cause): void;
  /** The client's side has taken n response bytes: that many more may come. */
  responseConsumed(x: Exchange, n: number): void;
}

/** Takes a response: a layer, or the codec of the connection that the request came in on. */
export interface ResponseSink {
  /** Also informational (1xx) heads; those never end the message. */
  responseHead(x: Exchange, head: Head, end: boolean): void;
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void;
  responseTrailers(x: Exchange, trailers: Head): void;
  /** The response will not come, or not to its end. The codec answers by `errors.ts` when no head has been sent. */
  responseReset(x: Exchange, cause: Cause): void;
  /** The upstream side has taken n request bytes. */
  requestConsumed(x: Exchange, n: number): void;
}

/**
 * A layer: passes everything on unless it overrides it. Put together once per target: `inner` leads to the upstream. Responses go outwards through `outer(x)`.
 */
export abstract class Layer implements RequestSink, ResponseSink {
  inner: RequestSink;

  constructor(inner: RequestSink) {
    this.inner = inner;
  }

  /** The sink that this layer's responses go to; the outermost layer of a stack answers `x.client`. */
  protected abstract outer(x: Exchange): ResponseSink;

  requestHead(x: Exchange, head: Head, end: boolean): void {
    this.inner.requestHead(x, head, end);
  }
  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.inner.requestData(x, buffer, start, end, last);
  }
  requestTrailers(x: Exchange, trailers: Head): void {
    this.inner.requestTrailers(x, trailers);
  }
  requestReset(x: Exchange, cause: Cause): void {
    this.inner.requestReset(x, cause);
  }
  responseConsumed(x: Exchange, n: number): void {
    this.inner.responseConsumed(x, n);
  }
  responseHead(x: Exchange, head: Head, end: boolean): void {
    this.outer(x).responseHead(x, head, end);
  }
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    this.outer(x).responseData(x, buffer, start, end, last);
  }
  responseTrailers(x: Exchange, trailers: Head): void {
    this.outer(x).responseTrailers(x, trailers);
  }
  responseReset(x: Exchange, cause: Cause): void {
    this.outer(x).responseReset(x, cause);
  }
  requestConsumed(x: Exchange, n: number): void {
    this.outer(x).requestConsumed(x, n);
  }
}
