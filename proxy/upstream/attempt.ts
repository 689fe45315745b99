import type { Cause } from '../errors.ts';
import { isGrpc } from '../field-names.ts';
import { copyHead } from '../copy-head.ts';
import { FieldId } from '../field-id.ts';
import type { Head } from '../head.ts';
import type { Exchange, RequestSink } from '../message.ts';
import { MAX_KEPT_BYTES } from '../route/retry-policy.ts';
import { giveHead, takeHeadFor } from '../spare-heads.ts';
import type { Timer } from '../transport/timers.ts';
import type { Dispatch, Destination } from './dispatch.ts';
import type { Waiter } from './upstream.ts';

/** Most requests have no body. */
const NO_CHUNKS: Buffer[] = [];

/**
 * Where one exchange stands on its way out. One writer: its `Dispatch`.
 * `unplaced`: no destination could be chosen yet. `connecting`: waits for a connection to one. `sent`: its head is out. `backing-off`: failed at one, waits before it
 * is sent again.
 */
export type AttemptState = 'unplaced' | 'connecting' | 'sent' | 'backing-off' | 'over';

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
  /** Ends the back-off, or the time that this try has for its answer. */
  timer: Timer | undefined = undefined;
  /** Head of an answer that is held until it is known whether its trailers say to try again. */
  held: Head | undefined = undefined;
  /** The destination was told that it is done with this exchange; false again for the next destination. */
  left = false;
  /** It was said how the destination did. */
  judged = false;
  /** ms, monotonic: when the head was given to the connection. */
  sentAt = 0;
  #head: Head | undefined = undefined;
  // What few requests need stands behind: of many under way little is in the processor's cache.
  /** Where it was sent to last. */
  lastDestination: Destination | undefined = undefined;
  /** It was sent, or about to be, before. */
  retried = false;
  /** It has had its free second try, for not having been processed. */
  moved = false;
  /** Retries by the route's policy. */
  retries = 0;
  /** Bytes of the informational heads that have been passed on. */
  informedBytes = 0;
  /** Bytes of the request's body that the client was credited for. What is sent again must not be credited again. */
  #credited = 0;
  #creditedBefore = 0;
  #body: Buffer[] = NO_CHUNKS;
  #bodyBytes = 0;
  #trailers: Head | undefined = undefined;
  #ended = false;

  constructor(x: Exchange, owner: Dispatch) {
    this.x = x;
    this.owner = owner;
  }

  /** Keeps the request's head, and from here on what follows it. A request of which nothing is kept is sent once, as it comes. */
  keep(head: Head, end: boolean): void {
    this.#head = copyHead(head, takeHeadFor(head.count));
    this.#ended = end;
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
    return this.#head;
  }

  /** Bytes of the body that are kept. */
  get keptBytes(): number {
    return this.#bodyBytes;
  }

  /** The whole request has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The kept request is gRPC. */
  get grpc(): boolean {
    const head = this.#head;
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
    if (this.#head === undefined) return;
    this.#ended = last;
    this.#bodyBytes += end - start;
    if (this.#bodyBytes > MAX_KEPT_BYTES && this.state === 'sent') return this.forget();
    if (end === start) return;
    if (this.#body === NO_CHUNKS) this.#body = [];
    this.#body.push(Buffer.from(buffer.subarray(start, end)));
  }

  keepTrailers(trailers: Head): void {
    if (this.#head === undefined) return;
    this.#ended = true;
    this.#trailers = copyHead(trailers);
  }

  /** Sends what was kept on the connection that it is `sent` on. */
  replay(sink: RequestSink): void {
    this.#pass(sink, sink);
  }

  /** Gives up what was kept to another sink, which makes an attempt of its own of it. */
  handOver(sink: RequestSink): void {
    if (this.#head === undefined) return;
    this.leave('over');
    this.#pass(sink, undefined);
    this.forget();
  }

  /** @param connection what the attempt must still be on before each part: it may have failed in the call before; undefined: it is on none */
  #pass(sink: RequestSink, connection: RequestSink | undefined): void {
    const { x } = this;
    const head = this.#head;
    if (head === undefined) return;
    const body = this.#body;
    const trailers = this.#trailers;
    const ended = this.#ended && trailers === undefined;
    sink.requestHead(x, head, ended && body.length === 0);
    for (const [i, chunk] of body.entries()) {
      if (this.sink !== connection) return;
      sink.requestData(x, chunk, 0, chunk.length, ended && i === body.length - 1);
    }
    if (trailers !== undefined && this.sink === connection) sink.requestTrailers(x, trailers);
  }

  /** @returns the bytes among n newly taken ones that are new to the client */
  credit(n: number): number {
    const again = Math.min(n, this.#creditedBefore);
    this.#creditedBefore -= again;
    this.#credited += n - again;
    return n - again;
  }

  /** All of it is going to be sent from the start. */
  restart(): void {
    this.retried = true;
    this.x.resetCode = 0;
    this.#creditedBefore = this.#credited;
  }

  /** The request will not be sent again. */
  forget(): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    this.#body = NO_CHUNKS;
    this.#trailers = undefined;
    giveHead(head);
  }
}
