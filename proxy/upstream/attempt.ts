import type { Cause } from '../errors.ts';
import { copyHead, type Exchange, type Head, type RequestSink } from '../message.ts';
import type { Dispatch, Destination } from './dispatch.ts';
import type { Waiter } from './upstream.ts';

/** Bytes of a request's body that are kept until its response begins, so that it can be sent again where the first peer refused it: Linkerd's limit. */
export const MAX_KEPT_BYTES = 65_536;

/** Heads of finished requests, used again: a head is some kilobytes of arrays. Bounded by what a busy moment needs. */
const spareHeads: Head[] = [];
const MAX_SPARE_HEADS = 256;

/**
 * Where one exchange stands on its way out. One writer: its `Dispatch`.
 * `unplaced`: no destination could be chosen yet. `connecting`: waits for a connection to one. `sent`: its head is out.
 */
export type Place =
  | { readonly kind: 'unplaced' }
  | { readonly kind: 'connecting'; readonly destination: Destination }
  | { readonly kind: 'sent'; readonly destination: Destination; readonly sink: RequestSink }
  | { readonly kind: 'over' };

/** A request on its way out, kept as long as it may have to be sent again. */
export class Attempt implements Waiter {
  readonly x: Exchange;
  readonly owner: Dispatch;
  place: Place = { kind: 'unplaced' };
  retried = false;
  /** Where it was sent to last. */
  lastDestination: Destination | undefined = undefined;
  /** The destination was told that it is done with this exchange; false again for the next destination. */
  left = false;
  /** ms, monotonic: when the head was given to the connection. */
  sentAt = 0;
  /** Bytes of the request's body that the client was credited for. What is sent again must not be credited again. */
  #credited = 0;
  #creditedBefore = 0;
  #head: Head | undefined;
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #trailers: Head | undefined;
  #ended = false;

  constructor(x: Exchange, owner: Dispatch, head: Head, end: boolean) {
    this.x = x;
    this.owner = owner;
    this.#head = copyHead(head, spareHeads.pop());
    this.#ended = end;
  }

  /** The kept head: whole until the response begins, or more than MAX_KEPT_BYTES of the body are out. */
  get head(): Head | undefined {
    return this.#head;
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
    if (this.#bodyBytes > MAX_KEPT_BYTES && this.place.kind === 'sent') return this.forget();
    if (end > start) this.#body.push(Buffer.from(buffer.subarray(start, end)));
  }

  keepTrailers(trailers: Head): void {
    if (this.#head === undefined) return;
    this.#ended = true;
    this.#trailers = copyHead(trailers);
  }

  /** Sends what was kept. */
  replay(sink: RequestSink): void {
    const { x } = this;
    const head = this.#head;
    if (head === undefined) return;
    const body = this.#body;
    const trailers = this.#trailers;
    const ended = this.#ended;
    sink.requestHead(x, head, ended && body.length === 0 && trailers === undefined);
    for (const [i, chunk] of body.entries()) {
      // The upstream may have failed in the call before.
      if (!this.isSentTo(sink)) return;
      sink.requestData(x, chunk, 0, chunk.length, ended && trailers === undefined && i === body.length - 1);
    }
    if (trailers !== undefined && this.isSentTo(sink)) sink.requestTrailers(x, trailers);
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
    this.#creditedBefore = this.#credited;
  }

  isSentTo(sink: RequestSink): boolean {
    return this.place.kind === 'sent' && this.place.sink === sink;
  }

  /** The request will not be sent again. */
  forget(): void {
    const head = this.#head;
    if (head === undefined) return;
    this.#head = undefined;
    this.#body = [];
    this.#trailers = undefined;
    if (spareHeads.length < MAX_SPARE_HEADS) spareHeads.push(head);
  }
}
