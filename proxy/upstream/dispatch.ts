import { causes, type Cause } from '../errors.ts';
import type { Exchange, Head, RequestSink, ResponseSink } from '../message.ts';
import { Attempt } from './attempt.ts';
import type { Upstream } from './upstream.ts';

/** Where a request can be sent. */
export interface Destination {
  readonly upstream: Upstream;
}

/**
 * The innermost layer of a stack: chooses a destination, holds the request until a connection stands, and sends it once more to another one when nothing of it
 * was processed (no connection, or the peer refused the stream). Keeps an `Attempt` in the slot `x.endpoint`.
 */
export abstract class Dispatch implements RequestSink, ResponseSink {
  #outer: ResponseSink | undefined;

  /** A destination, or undefined when there is none now. @param failed the one that this request just failed at */
  protected abstract choose(x: Exchange, failed: Destination | undefined): Destination | undefined;
  /** There is no destination now: keep the attempt for `place`, or `fail` it. */
  protected abstract unplaced(attempt: Attempt): void;
  /** The attempt that was handed to `unplaced` has been given up. */
  protected abstract abandoned(attempt: Attempt): void;
  /** Makes the head what the destination's proxy or app expects. May be called again for another destination. */
  protected abstract prepare(x: Exchange, head: Head, destination: Destination): void;
  /** Told of what becomes of a request at a destination: for balancers. */
  protected onSent(_attempt: Attempt, _destination: Destination): void {}
  protected onConnectFailed(_destination: Destination): void {}
  protected onResponded(_attempt: Attempt, _destination: Destination): void {}
  protected onLeft(_attempt: Attempt, _destination: Destination): void {}

  setOuter(outer: ResponseSink): void {
    this.#outer = outer;
  }

  protected outer(x: Exchange): ResponseSink {
    return this.#outer ?? x.client;
  }

  // Requests

  requestHead(x: Exchange, head: Head, end: boolean): void {
    const attempt = new Attempt(x, this, head, end);
    x.endpoint = attempt;
    this.place(attempt);
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const attempt = attemptOf(x);
    attempt.keepData(buffer, start, end, last);
    if (attempt.place.kind === 'sent') attempt.place.sink.requestData(x, buffer, start, end, last);
    // Nobody wants the rest: it is taken, so that the client comes to its end.
    else if (attempt.place.kind === 'over') this.outer(x).requestConsumed(x, end - start);
  }

  requestTrailers(x: Exchange, trailers: Head): void {
    const attempt = attemptOf(x);
    attempt.keepTrailers(trailers);
    if (attempt.place.kind === 'sent') attempt.place.sink.requestTrailers(x, trailers);
  }

  requestReset(x: Exchange, cause: Cause): void {
    const attempt = attemptOf(x);
    const { place } = attempt;
    if (place.kind === 'unplaced') this.abandoned(attempt);
    if (place.kind === 'connecting') place.destination.upstream.cancel(attempt);
    this.#over(attempt);
    if (place.kind === 'sent') place.sink.requestReset(x, cause);
  }

  responseConsumed(x: Exchange, n: number): void {
    const { place } = attemptOf(x);
    if (place.kind === 'sent') place.sink.responseConsumed(x, n);
  }

  // Placing

  /** Finds a destination for the attempt; also called again for one that had none. */
  place(attempt: Attempt): void {
    const destination = this.choose(attempt.x, undefined);
    if (destination !== undefined) return this.#placeAt(attempt, destination);
    attempt.place = { kind: 'unplaced' };
    this.unplaced(attempt);
  }

  #placeAt(attempt: Attempt, destination: Destination): void {
    attempt.place = { kind: 'connecting', destination };
    const sink = destination.upstream.take(attempt.x);
    if (sink === undefined) destination.upstream.wait(attempt);
    else this.connected(attempt, sink);
  }

  connected(attempt: Attempt, sink: RequestSink): void {
    const { place, x, head } = attempt;
    if (place.kind !== 'connecting' || head === undefined) return;
    const { destination } = place;
    attempt.place = { kind: 'sent', destination, sink };
    attempt.left = false;
    attempt.lastDestination = destination;
    x.upstream = sink;
    this.prepare(x, head, destination);
    this.onSent(attempt, destination);
    attempt.replay(sink);
  }

  connectFailed(attempt: Attempt, cause: Cause): void {
    if (attempt.place.kind !== 'connecting') return;
    const { destination } = attempt.place;
    // A queue that is full says nothing about the peer.
    if (cause === causes.connectFailed || cause === causes.peerRefused) this.onConnectFailed(destination);
    this.#again(attempt, this.choose(attempt.x, destination), cause);
  }

  waitAnew(attempt: Attempt): void {
    if (attempt.place.kind === 'connecting') this.#placeAt(attempt, attempt.place.destination);
  }

  /** Ends an attempt that is not sent. */
  fail(attempt: Attempt, cause: Cause): void {
    this.#over(attempt);
    this.outer(attempt.x).responseReset(attempt.x, cause);
  }

  /** One retry, and only of what nobody has processed. */
  #again(attempt: Attempt, other: Destination | undefined, cause: Cause): void {
    attempt.place = { kind: 'unplaced' };
    if (attempt.retried || attempt.head === undefined || other === undefined)
      return this.fail(attempt, cause);
    attempt.restart();
    this.#placeAt(attempt, other);
  }

  // Responses

  responseHead(x: Exchange, head: Head, end: boolean): void {
    const attempt = attemptOf(x);
    if (head.isFinal || attempt.x.opaque) {
      attempt.forget();
      if (attempt.place.kind === 'sent') this.onResponded(attempt, attempt.place.destination);
    }
    if (end) this.#left(attempt);
    this.outer(x).responseHead(x, head, end);
  }

  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (last) this.#left(attemptOf(x));
    this.outer(x).responseData(x, buffer, start, end, last);
  }

  responseTrailers(x: Exchange, trailers: Head): void {
    this.#left(attemptOf(x));
    this.outer(x).responseTrailers(x, trailers);
  }

  responseReset(x: Exchange, cause: Cause): void {
    const attempt = attemptOf(x);
    const { place } = attempt;
    if (place.kind !== 'sent') return;
    this.#left(attempt);
    if (x.refused) {
      x.refused = false;
      // The peer is there and only closes this connection: better it by another one than nobody.
      return this.#again(attempt, this.choose(x, place.destination) ?? place.destination, cause);
    }
    this.fail(attempt, cause);
  }

  requestConsumed(x: Exchange, n: number): void {
    const fresh = attemptOf(x).credit(n);
    if (fresh > 0) this.outer(x).requestConsumed(x, fresh);
  }

  /** The destination is done with the exchange. Its request may still be under way (a response that came before the request's end). */
  #left(attempt: Attempt): void {
    if (attempt.left) return;
    attempt.left = true;
    if (attempt.place.kind === 'sent') this.onLeft(attempt, attempt.place.destination);
  }

  #over(attempt: Attempt): void {
    this.#left(attempt);
    attempt.place = { kind: 'over' };
    attempt.forget();
  }
}

/** The attempt of an exchange that came through a `Dispatch`. */
export function attemptOf(x: Exchange): Attempt {
  if (x.endpoint instanceof Attempt) return x.endpoint;
  throw new Error(`an exchange without an attempt: ${causes.internal.code}`);
}

/** Responses of shared connections find their way back to the stack that the request came through. */
export class ResponseDispatcher implements ResponseSink {
  responseHead(x: Exchange, head: Head, end: boolean): void {
    attemptOf(x).owner.responseHead(x, head, end);
  }
  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    attemptOf(x).owner.responseData(x, buffer, start, end, last);
  }
  responseTrailers(x: Exchange, trailers: Head): void {
    attemptOf(x).owner.responseTrailers(x, trailers);
  }
  responseReset(x: Exchange, cause: Cause): void {
    attemptOf(x).owner.responseReset(x, cause);
  }
  requestConsumed(x: Exchange, n: number): void {
    attemptOf(x).owner.requestConsumed(x, n);
  }
}
