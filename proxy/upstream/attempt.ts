import { causes, type Cause } from '../errors.ts';
import { isGrpc } from '../message/field-names.ts';
import { copyHead } from '../message/copy-head.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { Exchange, RequestSink } from '../message/message.ts';
import { MAX_KEPT_BYTES } from '../route/retry-policy.ts';
import type { Timer } from '../transport/timers.ts';
import type { Destination } from './destination.ts';
import type { Dispatch } from './dispatch.ts';
import { forgetRequest, keepRequest, type KeptRequest } from './kept-request.ts';
import type { Waiter } from './upstream.ts';

/**
 * Where one exchange stands on its way out. One writer: its `Dispatch`. `unplaced`: no destination could be chosen yet.
 * `connecting`: waits for a connection to one. `sent`: its head is out. `backing-off`: failed at one, waits before it
 * is sent again.
 */
export type AttemptState = 'unplaced' | 'connecting' | 'sent' | 'backing-off' | 'over';

/** What few attempts need: those that are sent again, have to wait, or have a time limit. */
class Rarities {
  timer: Timer | undefined = undefined;
  held: Head | undefined = undefined;
  retried = false;
  moved = false;
  retries = 0;
  informedBytes = 0;
  /** Bytes of the body that the client was credited for before. What is sent again must not be credited again. */
  creditedBefore = 0;
}

/** Of all that need none of it: never written to. */
const NO_RARITIES = new Rarities();

/** A request on its way out, kept as long as it may have to be sent again. */
export class Attempt implements Waiter {
  readonly x: Exchange;
  readonly owner: Dispatch;
  // The states' own data are fields of the attempt: an object for each would be a fifth of what a request allocates.
  state: AttemptState = 'unplaced';
  /** The one that was chosen, or that it failed at (`backing-off`); undefined when `unplaced`. */
  destination: Destination | undefined = undefined;
  /** The connection that its head is out on; defined when `sent`, and only then. */
  sink: RequestSink | undefined = undefined;
  /** The destination was told that it is done with this exchange; false again for the next destination. */
  left = false;
  /** It was said how the destination did. */
  judged = false;
  /** ms, monotonic: when the head was given to the connection. */
  sentAt = 0;
  /** Where it was sent to last, as who knows the destinations had it then: for what is told of it. Written in `onSent`. */
  wentTo: Destination | undefined = undefined;
  /** Undefined: it can't be sent again. */
  #kept: KeptRequest | undefined = undefined;
  #rarities = NO_RARITIES;

  constructor(x: Exchange, owner: Dispatch) {
    this.x = x;
    this.owner = owner;
  }

  /** Ends the back-off, or the time that this try has for its answer. */
  get timer(): Timer | undefined {
    return this.#rarities.timer;
  }
  set timer(timer: Timer | undefined) {
    this.#ownRarities().timer = timer;
  }

  /** Head of an answer that is held until it is known whether its trailers say to try again. */
  get held(): Head | undefined {
    return this.#rarities.held;
  }
  hold(head: Head): void {
    this.#ownRarities().held = head;
  }
  /** It is passed on, or void. */
  letGo(): void {
    if (this.held !== undefined) this.#rarities.held = undefined;
  }

  /** It was sent, or about to be, before. */
  get retried(): boolean {
    return this.#rarities.retried;
  }

  /** It has had its free second try, for not having been processed. */
  get moved(): boolean {
    return this.#rarities.moved;
  }

  /** Retries by the route's policy. */
  get retries(): number {
    return this.#rarities.retries;
  }

  /** n bytes of informational heads are being passed on. @returns all of them so far */
  inform(n: number): number {
    const rarities = this.#ownRarities();
    rarities.informedBytes += n;
    return rarities.informedBytes;
  }

  #ownRarities(): Rarities {
    if (this.#rarities === NO_RARITIES) this.#rarities = new Rarities();
    return this.#rarities;
  }

  /** Keeps the request's head, and from here on what follows it. A request of which nothing is kept is sent once, as it comes. */
  keep(head: Head, end: boolean): void {
    this.#kept = keepRequest(head, end);
  }

  /** Goes to a connection of this destination. */
  connect(destination: Destination): void {
    this.state = 'connecting';
    this.destination = destination;
    this.sink = undefined;
  }

  /** Its head goes out on this connection. */
  send(sink: RequestSink): void {
    this.state = 'sent';
    this.sink = sink;
  }

  /** It is on no connection: it looks for a destination, waits to look for one, or is done with. */
  leave(state: 'unplaced' | 'backing-off' | 'over', failed?: Destination): void {
    this.state = state;
    this.destination = failed;
    this.sink = undefined;
  }

  /** The kept head: whole until the response begins, or more than MAX_KEPT_BYTES of the body are out. Undefined: it can't be sent again. */
  get head(): Head | undefined {
    return this.#kept?.head;
  }

  /** Bytes of the body that are kept. */
  get keptBytes(): number {
    return this.#kept?.bodyBytes ?? 0;
  }

  /** The whole request has come, and is kept. */
  get ended(): boolean {
    return this.#kept?.ended === true;
  }

  /** The kept request is gRPC. */
  get grpc(): boolean {
    const { head } = this;
    if (head === undefined) return false;
    const i = head.find(FieldId.contentType);
    const value = i < 0 ? undefined : head.valueBuffer[i];
    return value !== undefined && isGrpc(value, head.valueStart[i] ?? 0, head.valueEnd[i] ?? 0);
  }

  connected(sink: RequestSink): void {
    this.owner.connected(this, sink);
  }

  failed(cause: Cause): void {
    this.owner.connectFailed(this, cause);
  }

  again(): void {
    this.owner.waitAnew(this);
  }

  /** Keeps a part of the body. What waits for a connection is kept in any case: the receiving codec's window bounds it. */
  keepData(buffer: Buffer, start: number, end: number, last: boolean): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    kept.ended = last;
    kept.bodyBytes += end - start;
    if (kept.bodyBytes > MAX_KEPT_BYTES && this.state === 'sent') return this.forget();
    if (end > start) kept.add(buffer, start, end);
  }

  keepTrailers(trailers: Head): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    kept.ended = true;
    kept.trailers = copyHead(trailers);
  }

  /** Sends what was kept on the connection that it is `sent` on. */
  replay(sink: RequestSink): void {
    this.#pass(sink, sink);
  }

  /** Gives up what was kept to another sink, which makes an attempt of its own of it. */
  handOver(sink: RequestSink): void {
    if (this.#kept === undefined) return;
    this.leave('over');
    this.#pass(sink, undefined);
    this.forget();
  }

  /** @param connection what the attempt must still be on before each part: it may have failed in the call before; undefined: it is on none */
  #pass(sink: RequestSink, connection: RequestSink | undefined): void {
    const { x } = this;
    const kept = this.#kept;
    if (kept?.head === undefined) return;
    const { head, body, trailers, ended } = kept;
    const whole = ended && trailers === undefined;
    const chunks = body.length;
    sink.requestHead(x, head, whole && chunks === 0);
    // By index: most have none, and an iterator is an object.
    for (let i = 0; i < chunks; i++) {
      const chunk = body[i];
      if (chunk === undefined || this.sink !== connection) return;
      sink.requestData(x, chunk, 0, chunk.length, whole && i === chunks - 1);
    }
    if (trailers !== undefined && this.sink === connection) sink.requestTrailers(x, trailers);
  }

  /** @returns the bytes among n newly taken ones that are new to the client */
  credit(n: number): number {
    const before = this.#rarities.creditedBefore;
    const again = Math.min(n, before);
    if (again > 0) this.#rarities.creditedBefore = before - again;
    if (this.#kept !== undefined) this.#kept.credited += n - again;
    return n - again;
  }

  /** All of it is going to be sent from the start, for the reason that is told. */
  restart(why: 'moved' | 'retried'): void {
    const rarities = this.#ownRarities();
    rarities.retried = true;
    if (why === 'moved') rarities.moved = true;
    else rarities.retries++;
    rarities.creditedBefore = this.#kept?.credited ?? 0;
    this.x.resetCode = 0;
  }

  /** The request will not be sent again. */
  forget(): void {
    const kept = this.#kept;
    if (kept === undefined) return;
    this.#kept = undefined;
    forgetRequest(kept);
  }
}

/** The attempt of an exchange that came through a `Dispatch`. */
export function attemptOf(x: Exchange): Attempt {
  if (x.attempt instanceof Attempt) return x.attempt;
  throw new Error(`an exchange without an attempt: ${causes.internal.code}`);
}
