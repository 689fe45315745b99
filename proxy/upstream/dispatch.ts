import { causes, type Cause } from '../errors.ts';
import { copyHead } from '../message/copy-head.ts';
import { Head } from '../message/head.ts';
import { MAX_HEAD_BYTES } from '../http1/head-reader.ts';
import { headerListSize } from '../http2/head-encoder.ts';
import type { Exchange, RequestSink, ResponseSink } from '../message/message.ts';
import { grpcStatusOf } from '../telemetry/classify.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import { Attempt, attemptOf } from './attempt.ts';
import { isDestination, type Choice, type Destination } from './destination.ts';
import { DispatchHooks, NO_RETRY } from './dispatch-hooks.ts';

/**
 * Bytes of all informational heads of one response: as many as its own head may have. That is some hundred hints, and
 * more than a day of `102 Processing` every few minutes.
 */
const MAX_INFORMED_BYTES = MAX_HEAD_BYTES;

/**
 * The innermost layer of a stack: chooses a destination, holds the request until a connection stands, and sends it again
 * - once and at once to another destination, when nothing of it was processed (no connection, or the peer refused the stream),
 * - after a back-off, when the route's policy wants that for the answer or failure that came.
 * Keeps an `Attempt` in the slot `x.attempt`.
 */
export abstract class Dispatch extends DispatchHooks implements RequestSink, ResponseSink {
  #outer: ResponseSink | undefined;
  readonly #timers: TimerWheel;

  /** @param timers for back-offs and the time that a try has; fine enough for tens of ms */
  constructor(timers: TimerWheel) {
    super();
    this.#timers = timers;
  }

  setOuter(outer: ResponseSink): void {
    this.#outer = outer;
  }

  protected outer(x: Exchange): ResponseSink {
    return this.#outer ?? x.client;
  }

  // Requests

  requestHead(x: Exchange, head: Head, end: boolean): void {
    const attempt = new Attempt(x, this);
    x.attempt = attempt;
    const choice = this.choose(x, head, undefined);
    if (isDestination(choice) && !this.keeps(x)) {
      const sink = choice.upstream.take(x);
      if (sink !== undefined) return this.#sendOnce(attempt, choice, sink, head, end);
    }
    attempt.keep(head, end);
    this.#follow(attempt, choice);
  }

  requestData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const attempt = attemptOf(x);
    attempt.keepData(buffer, start, end, last);
    if (attempt.sink !== undefined) attempt.sink.requestData(x, buffer, start, end, last);
    // Nobody wants the rest: it is taken, so that the client comes to its end.
    else if (attempt.state === 'over') this.outer(x).requestConsumed(x, end - start);
  }

  requestTrailers(x: Exchange, trailers: Head): void {
    const attempt = attemptOf(x);
    attempt.keepTrailers(trailers);
    attempt.sink?.requestTrailers(x, trailers);
  }

  requestReset(x: Exchange, cause: Cause): void {
    const attempt = attemptOf(x);
    const { state, destination, sink } = attempt;
    if (state === 'unplaced') this.abandoned(attempt);
    if (state === 'connecting' && destination !== undefined) {
      destination.upstream.cancel(attempt);
      this.onUnsent(destination);
    }
    if (state === 'sent' && destination !== undefined) this.onReset(attempt, destination, cause);
    this.#over(attempt);
    sink?.requestReset(x, cause);
  }

  responseConsumed(x: Exchange, n: number): void {
    attemptOf(x).sink?.responseConsumed(x, n);
  }

  // Placing

  /** Finds a destination for the attempt; also called again for one that had none. */
  place(attempt: Attempt): void {
    this.#follow(attempt, this.choose(attempt.x, attempt.head, undefined));
  }

  #follow(attempt: Attempt, choice: Choice): void {
    if (isDestination(choice)) return this.#placeAt(attempt, choice);
    attempt.leave('unplaced');
    if (choice === undefined) this.unplaced(attempt);
    else if (choice instanceof Head) this.#answer(attempt, choice);
    else this.fail(attempt, choice);
  }

  #placeAt(attempt: Attempt, destination: Destination): void {
    attempt.connect(destination);
    const sink = destination.upstream.take(attempt.x);
    if (sink === undefined) destination.upstream.wait(attempt);
    else this.connected(attempt, sink);
  }

  connected(attempt: Attempt, sink: RequestSink): void {
    const { x, head, destination } = attempt;
    if (attempt.state !== 'connecting' || destination === undefined || head === undefined) return;
    attempt.send(sink);
    attempt.left = false;
    attempt.judged = false;
    this.prepare(x, head, destination);
    this.onSent(attempt, destination);
    const limit = this.tryLimit(attempt);
    if (limit > 0) this.#limitTry(attempt, limit);
    attempt.replay(sink);
  }

  /** A method of its own: what a closure holds is allocated by each call of the function that it stands in, also where it is not made. */
  #limitTry(attempt: Attempt, ms: number): void {
    this.#arm(attempt, ms, () => this.#tryIsOver(attempt));
  }

  /** A request that nobody will send again, on a connection that stands. */
  #sendOnce(attempt: Attempt, destination: Destination, sink: RequestSink, head: Head, end: boolean): void {
    const { x } = attempt;
    attempt.connect(destination);
    attempt.send(sink);
    this.prepare(x, head, destination);
    this.onSent(attempt, destination);
    sink.requestHead(x, head, end);
  }

  connectFailed(attempt: Attempt, cause: Cause): void {
    const { destination } = attempt;
    if (attempt.state !== 'connecting' || destination === undefined) return;
    // A queue that is full says nothing about the peer.
    if (cause === causes.connectFailed || cause === causes.peerRefused) this.onConnectFailed(destination);
    else this.onUnsent(destination);
    if (cause === causes.connectFailed && this.unreached(attempt)) return;
    this.#unprocessed(attempt, destination, undefined, cause);
  }

  waitAnew(attempt: Attempt): void {
    const { destination } = attempt;
    if (attempt.state === 'connecting' && destination !== undefined) this.#placeAt(attempt, destination);
  }

  /** Ends an attempt that is not sent. */
  fail(attempt: Attempt, cause: Cause): void {
    this.#over(attempt);
    this.outer(attempt.x).responseReset(attempt.x, cause);
  }

  /** Ends an attempt that is not sent with an answer of our own, which has no body. */
  #answer(attempt: Attempt, head: Head): void {
    this.#over(attempt);
    this.outer(attempt.x).responseHead(attempt.x, head, true);
  }

  /**
   * Nobody has processed it: it may go elsewhere at once, once, without the policy's leave. It costs no app anything, so it can't multiply load.
   * @param otherwise where it goes when there is nowhere else
   */
  #unprocessed(
    attempt: Attempt,
    failed: Destination,
    otherwise: Destination | undefined,
    cause: Cause,
  ): void {
    attempt.leave('unplaced');
    if (attempt.head === undefined) return this.#untaken(attempt, cause);
    const other = attempt.moved ? undefined : (this.#elsewhere(attempt, failed) ?? otherwise);
    if (other !== undefined) {
      attempt.restart('moved');
      return this.#placeAt(attempt, other);
    }
    const delay = this.retryDelay(attempt, cause.status, String(cause.grpc));
    if (delay === NO_RETRY) this.#untaken(attempt, cause);
    else this.#backOff(attempt, failed, delay);
  }

  /** A destination other than the one that it failed at. */
  #elsewhere({ x, head }: Attempt, failed: Destination | undefined): Destination | undefined {
    const choice = this.choose(x, head, failed);
    return isDestination(choice) ? choice : undefined;
  }

  #untaken(attempt: Attempt, cause: Cause): void {
    this.onUntaken(attempt.x);
    this.fail(attempt, cause);
  }

  // Sending again, as the policy wants it

  #sendAgain(attempt: Attempt, delay: number): void {
    const { x, destination, sink } = attempt;
    if (sink === undefined || destination === undefined) return;
    this.#left(attempt);
    this.#backOff(attempt, destination, delay);
    // No-op for a codec that is done with the exchange.
    sink.requestReset(x, causes.retried);
  }

  #backOff(attempt: Attempt, failed: Destination, delay: number): void {
    attempt.letGo();
    attempt.restart('retried');
    attempt.leave('backing-off', failed);
    this.#arm(attempt, delay, () => this.#backOffIsOver(attempt));
  }

  #backOffIsOver(attempt: Attempt): void {
    const { x, head, destination } = attempt;
    if (attempt.state !== 'backing-off') return;
    this.#follow(attempt, this.#elsewhere(attempt, destination) ?? this.choose(x, head, undefined));
  }

  #tryIsOver(attempt: Attempt): void {
    const { destination } = attempt;
    if (attempt.state !== 'sent' || destination === undefined || attempt.head === undefined) return;
    const delay = this.retryAfterLimit(attempt);
    if (delay === NO_RETRY) return;
    this.onReset(attempt, destination, causes.timeout);
    this.#sendAgain(attempt, delay);
  }

  #arm(attempt: Attempt, ms: number, fire: () => void): void {
    this.#disarm(attempt);
    attempt.timer = new Timer(fire);
    this.#timers.arm(attempt.timer, ms);
  }

  #disarm(attempt: Attempt): void {
    if (attempt.timer === undefined) return;
    this.#timers.cancel(attempt.timer);
    attempt.timer = undefined;
  }

  // Responses

  responseHead(x: Exchange, head: Head, end: boolean): void {
    const attempt = attemptOf(x);
    const { destination } = attempt;
    if (attempt.state !== 'sent' || destination === undefined) return;
    if (!head.isFinal && !x.opaque) return this.#inform(attempt, head, destination);
    this.#disarm(attempt);
    this.onResponded(attempt, destination, head);
    if (attempt.head !== undefined) {
      const delay = this.retryDelay(attempt, head.status, grpcStatusOf(head));
      if (delay !== NO_RETRY) return this.#sendAgain(attempt, delay);
      if (!end && this.waitsForTrailers(attempt, head)) return this.#hold(attempt, head);
      attempt.forget();
    }
    if (end) this.#ended(attempt, undefined);
    this.outer(x).responseHead(x, head, end);
  }

  /** Passes an informational head on. Nothing paces them: a client that reads slowly would have the connection given up that it shares with others. */
  #inform(attempt: Attempt, head: Head, destination: Destination): void {
    const { x, sink } = attempt;
    const informed = attempt.inform(headerListSize(head));
    if (informed <= MAX_INFORMED_BYTES) return this.outer(x).responseHead(x, head, false);
    this.onReset(attempt, destination, causes.protocolError);
    this.fail(attempt, causes.protocolError);
    sink?.requestReset(x, causes.protocolError);
  }

  responseData(x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    const attempt = attemptOf(x);
    if (attempt.held !== undefined) this.#passHeld(attempt);
    if (last) this.#ended(attempt, undefined);
    this.outer(x).responseData(x, buffer, start, end, last);
  }

  responseTrailers(x: Exchange, trailers: Head): void {
    const attempt = attemptOf(x);
    if (attempt.held !== undefined) {
      const delay =
        attempt.head === undefined
          ? NO_RETRY
          : this.retryDelay(attempt, attempt.held.status, grpcStatusOf(trailers));
      if (delay !== NO_RETRY) {
        this.#ended(attempt, trailers);
        return this.#sendAgain(attempt, delay);
      }
      this.#passHeld(attempt);
    }
    this.#ended(attempt, trailers);
    this.outer(x).responseTrailers(x, trailers);
  }

  responseReset(x: Exchange, cause: Cause): void {
    const attempt = attemptOf(x);
    const { destination } = attempt;
    if (attempt.state !== 'sent' || destination === undefined) return;
    this.#disarm(attempt);
    if (x.refused) {
      x.refused = false;
      this.onRefused(attempt, destination, cause);
      this.#left(attempt);
      // The peer is there and only closes this connection: better it by another one than nobody.
      return this.#unprocessed(attempt, destination, destination, cause);
    }
    this.onReset(attempt, destination, cause);
    if (attempt.head !== undefined) {
      const delay = this.retryDelay(attempt, cause.status, String(cause.grpc));
      if (delay !== NO_RETRY) return this.#sendAgain(attempt, delay);
    }
    this.fail(attempt, cause);
  }

  requestConsumed(x: Exchange, n: number): void {
    const fresh = attemptOf(x).credit(n);
    if (fresh > 0) this.outer(x).requestConsumed(x, fresh);
  }

  /**
   * Holds the head of an answer for the rest of the turn: a call that fails at once sends its trailers along. A stream
   * that begins slowly must not wait: its client may be waiting for the head.
   */
  #hold(attempt: Attempt, head: Head): void {
    attempt.hold(copyHead(head));
    setImmediate(() => this.#passHeld(attempt));
  }

  #passHeld(attempt: Attempt): void {
    const { held, x } = attempt;
    if (held === undefined) return;
    attempt.letGo();
    attempt.forget();
    this.outer(x).responseHead(x, held, false);
  }

  #ended(attempt: Attempt, trailers: Head | undefined): void {
    const { destination } = attempt;
    if (attempt.state === 'sent' && destination !== undefined) this.onEnded(attempt, destination, trailers);
    this.#left(attempt);
  }

  /** The destination is done with the exchange. Its request may still be under way (a response that came before the request's end). */
  #left(attempt: Attempt): void {
    if (attempt.left) return;
    attempt.left = true;
    const { destination } = attempt;
    if (attempt.state === 'sent' && destination !== undefined) this.onLeft(attempt, destination);
  }

  #over(attempt: Attempt): void {
    this.#disarm(attempt);
    this.#left(attempt);
    attempt.letGo();
    attempt.leave('over');
    attempt.forget();
  }
}
