import type { Exchange } from '../message/message.ts';
import { MAX_WINDOW } from './frames.ts';
import { MAX_CONCURRENT_STREAMS, STREAM_WINDOW } from './limits.ts';
import { StreamIndex } from './stream-index.ts';
import { Stream } from './stream.ts';

/** The streams of a connection that are under way, their ids and their states. Only the client opens streams: push is off. */
export class StreamTable {
  readonly #server: boolean;
  readonly #streams = new StreamIndex();
  #nextId = 1;
  #lastPeerId = 0;
  /** Highest id of the peer's that we still answer. */
  #acceptUpTo = MAX_WINDOW;
  #peerMaxStreams = Number.POSITIVE_INFINITY;

  constructor(server: boolean) {
    this.#server = server;
  }

  get size(): number {
    return this.#streams.size;
  }
  /** Highest id that the peer has opened. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }
  /** Client side: the peer's limit and the ids have room for one more. */
  get hasRoom(): boolean {
    return !this.#server && this.#streams.size < this.#peerMaxStreams && this.#nextId < MAX_WINDOW;
  }

  /** Those that are under way; one that ends before its turn has none. */
  *values(): Generator<Stream> {
    for (const stream of this.#streams.values()) if (stream.table === this) yield stream;
  }

  get(id: number): Stream | undefined {
    return this.#streams.get(id);
  }

  /** The codec state of an exchange, if it is a stream of this connection that is under way: a retried exchange may carry one of another. */
  own(state: unknown): Stream | undefined {
    const stream = state as Stream | undefined;
    return stream?.table === this ? stream : undefined;
  }

  /** SETTINGS_MAX_CONCURRENT_STREAMS of the peer. */
  setPeerLimit(n: number): void {
    this.#peerMaxStreams = n;
  }

  /** Nobody has used this id yet, or nobody ever may. */
  isIdle(id: number): boolean {
    if ((id & 1) === 0) return id !== 0;
    return this.#server ? id > this.#lastPeerId : id >= this.#nextId;
  }

  /** Server side: HEADERS with this id open a stream. */
  isNew(id: number): boolean {
    return this.#server && id > this.#lastPeerId;
  }

  /** Streams that the peer has opened up to now are the last that are answered (RFC 9113 section 6.8). */
  acceptNoMore(): void {
    this.#acceptUpTo = Math.min(this.#acceptUpTo, this.#lastPeerId);
  }

  /** Client side; only where there is room. */
  openOwn(x: Exchange, sendWindow: number): Stream {
    const stream = new Stream(this.#nextId, x, this, sendWindow, STREAM_WINDOW);
    this.#nextId += 2;
    this.#streams.add(stream);
    return stream;
  }

  /** Server side: the peer uses this id; false: its stream is refused. */
  admit(id: number): boolean {
    this.#lastPeerId = id;
    return id <= this.#acceptUpTo && this.#streams.size < MAX_CONCURRENT_STREAMS;
  }

  /** Server side: a stream of an admitted id. `ended`: its request has no body. */
  openPeers(id: number, x: Exchange, sendWindow: number, ended: boolean): Stream {
    const stream = new Stream(id, x, this, sendWindow, STREAM_WINDOW);
    if (ended) stream.state = 'half-closed-remote';
    this.#streams.add(stream);
    return stream;
  }

  endLocal(stream: Stream): void {
    if (stream.state === 'open') stream.state = 'half-closed-local';
    else if (stream.state === 'half-closed-remote') stream.state = 'closed';
  }

  endRemote(stream: Stream): void {
    if (stream.state === 'open') stream.state = 'half-closed-remote';
    else if (stream.state === 'half-closed-local') stream.state = 'closed';
  }

  /** Closes a stream and forgets it; false: it was forgotten before. */
  remove(stream: Stream): boolean {
    stream.state = 'closed';
    stream.table = undefined;
    return this.#streams.delete(stream.id);
  }
}
