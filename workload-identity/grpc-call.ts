import type { Clock, Timer } from './clock.ts';
import type { Connection } from './grpc-connection.ts';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import { FrameReader } from './grpc-frames.ts';
import type { Inbox } from './grpc-inbox.ts';
import { type Outcome, outcomeOfEnd, outcomeOfHead, outcomeOfTrailers } from './grpc-outcome.ts';
import type { Call, CallOptions, StreamHandlers } from './grpc-types.ts';
import type { Http2Session, Http2Stream, RequestHead, StreamEnd } from './http2.ts';

/** Most digits that `grpc-timeout` may have; a longer deadline is no deadline. */
const MAX_TIMEOUT_VALUE = 99_999_999;

type CallState =
  /** No stream yet: what is sent waits here. */
  | { kind: 'connecting'; queue: Buffer[]; sendClosed: boolean }
  | { kind: 'open'; stream: Http2Stream }
  | { kind: 'ended' };

/** One call: frames out, messages in, one end. */
export class RunningCall implements Call {
  readonly #head: RequestHead;
  readonly #handlers: StreamHandlers<Buffer>;
  readonly #inbox: Inbox;
  readonly #reader = new FrameReader();
  readonly #deadline: Timer | undefined;
  #state: CallState = { kind: 'connecting', queue: [], sendClosed: false };
  /** What the peer's headers or trailers said. */
  #status: Outcome;

  constructor(
    connection: Connection,
    clock: Clock,
    inbox: Inbox,
    head: RequestHead,
    { deadlineMs }: CallOptions,
    handlers: StreamHandlers<Buffer>,
  ) {
    this.#head = head;
    this.#handlers = handlers;
    this.#inbox = inbox;
    if (deadlineMs !== undefined) {
      this.#deadline = clock.after(deadlineMs, () =>
        this.#end(new GrpcError(grpcStatus.deadlineExceeded, `no answer within ${deadlineMs} ms`)),
      );
    }
    connection.acquire().then(
      (session) => this.#open(connection, session),
      (error: unknown) => this.#end(asGrpcError(error)),
    );
  }

  send(frame: Buffer): void {
    if (this.#state.kind === 'connecting') this.#state.queue.push(frame);
    else if (this.#state.kind === 'open') this.#state.stream.write(frame);
  }

  closeSend(): void {
    if (this.#state.kind === 'connecting') this.#state.sendClosed = true;
    else if (this.#state.kind === 'open') this.#state.stream.end();
  }

  cancel(): void {
    this.#end(new GrpcError(grpcStatus.cancelled, 'cancelled by the caller'));
  }

  #open(connection: Connection, session: Http2Session): void {
    if (this.#state.kind !== 'connecting') return;
    if (!session.available) {
      this.#end(new GrpcError(grpcStatus.unavailable, 'the connection takes no more streams'));
      return;
    }
    const { queue, sendClosed } = this.#state;
    const inbox = this.#inbox;
    const stream = session.request(this.#head, {
      head: (status, fields) => {
        connection.answered(session);
        this.#status = outcomeOfHead(status, fields);
      },
      data: (bytes) => {
        this.#onData(bytes);
        // Also what nobody reads: a peer without a window would never come to the end of the stream.
        inbox.whenRoom(() => stream.consumed(bytes.length));
      },
      trailers: (fields) => {
        const told = outcomeOfTrailers(fields);
        this.#status = told === 'ok' ? (this.#status ?? told) : told;
      },
      closed: (end) => inbox.put(() => this.#onClosed(end)),
    });
    this.#state = { kind: 'open', stream };
    for (const frame of queue) stream.write(frame);
    if (sendClosed) stream.end();
  }

  #onData(chunk: Buffer): void {
    if (this.#status instanceof GrpcError) return;
    try {
      this.#reader.push(chunk, (bytes) => this.#inbox.put(() => this.#onMessage(bytes), bytes.length));
    } catch (error) {
      this.#inbox.put(() => this.#end(asRefusal(error)));
    }
  }

  #onMessage(bytes: Buffer): void {
    if (this.#state.kind !== 'open') return;
    try {
      this.#handlers.message(bytes);
    } catch (error) {
      this.#end(asRefusal(error));
    }
  }

  #onClosed(end: StreamEnd): void {
    if (this.#status !== 'ok') this.#end(this.#status ?? outcomeOfEnd(end));
    else if (this.#reader.pendingBytes === 0) this.#end(undefined);
    else this.#end(new GrpcError(grpcStatus.internal, 'the stream ended inside a message'));
  }

  #end(error: GrpcError | undefined): void {
    const before = this.#state;
    if (before.kind === 'ended') return;
    this.#state = { kind: 'ended' };
    this.#deadline?.cancel();
    if (before.kind === 'open') before.stream.cancel();
    this.#handlers.end(error);
  }
}

/** Why a message that has come ends the call. */
function asRefusal(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  const text = `a message could not be taken: ${String(error)}`;
  return new GrpcError(grpcStatus.internal, text, { cause: error });
}

function asGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  return new GrpcError(grpcStatus.unavailable, error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

/** What a call asks with. @param path of the method */
export function requestHead(
  path: string,
  authority: string,
  { deadlineMs, metadata }: CallOptions,
): RequestHead {
  return {
    authority,
    path,
    fields: {
      ...metadata,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': 'isthmus',
      ...(deadlineMs === undefined || deadlineMs > MAX_TIMEOUT_VALUE
        ? {}
        : { 'grpc-timeout': `${Math.ceil(deadlineMs)}m` }),
    },
  };
}
