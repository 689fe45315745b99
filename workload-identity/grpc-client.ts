import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { type Clock, systemClock, type Timer } from './clock.ts';
import { Connection } from './grpc-connection.ts';
import { GrpcError, grpcStatus, toGrpcCode } from './grpc-error.ts';
import { encodeFrame, FrameReader } from './grpc-frames.ts';
import type { Call, CallOptions, Channel, ChannelOptions, StreamHandlers } from './grpc-types.ts';

/** Most digits that `grpc-timeout` may have; a longer deadline is no deadline. */
const MAX_TIMEOUT_VALUE = 99_999_999;
const HTTP2_CANCEL = 8;
const HTTP2_REFUSED_STREAM = 7;

/** Makes a channel. The HTTP/2 engine behind it can be replaced without a change to callers. */
export function createChannel(options: ChannelOptions): Channel {
  const connection = new Connection(options);
  const clock = options.clock ?? systemClock;
  const running = new Set<RunningCall>();

  function start<O extends DescMessage>(
    method: DescMethod & { output: O },
    handlers: StreamHandlers<MessageShape<O>>,
    callOptions: CallOptions,
  ): RunningCall {
    const call = new RunningCall(connection, clock, method, callOptions, {
      message: (bytes) => handlers.message(fromBinary(method.output, bytes)),
      end: (error) => {
        running.delete(call);
        handlers.end(error);
      },
    });
    running.add(call);
    return call;
  }

  return {
    unary<M extends DescMethodUnary>(
      method: M,
      message: MessageInitShape<M['input']>,
      callOptions: CallOptions = {},
    ) {
      const { promise, resolve, reject } = Promise.withResolvers<MessageShape<M['output']>>();
      let answer: MessageShape<M['output']> | undefined;
      const call = start<M['output']>(
        method,
        {
          message: (received) => {
            answer = received;
          },
          end: (error) => {
            if (error !== undefined) reject(error);
            else if (answer === undefined) {
              reject(
                new GrpcError(grpcStatus.internal, `${method.name} ended with OK but without an answer`),
              );
            } else resolve(answer);
          },
        },
        callOptions,
      );
      call.send(encode(method.input, message));
      call.closeSend();
      return promise;
    },
    serverStream(method, message, handlers, callOptions = {}) {
      const call = start(method, handlers, callOptions);
      call.send(encode(method.input, message));
      call.closeSend();
      return call;
    },
    bidiStream(method, handlers, callOptions = {}) {
      const call = start(method, handlers, callOptions);
      return {
        send: (message) => call.send(encode(method.input, message)),
        closeSend: () => call.closeSend(),
        cancel: () => call.cancel(),
      };
    },
    close() {
      for (const call of running) call.cancel();
      connection.close();
    },
  };
}

function encode<I extends DescMessage>(schema: I, message: MessageInitShape<I>): Buffer {
  return encodeFrame(toBinary(schema, create(schema, message)));
}

type CallState =
  /** No stream yet: what is sent waits here. */
  | { kind: 'connecting'; queue: Buffer[]; sendClosed: boolean }
  | { kind: 'open'; stream: ClientHttp2Stream }
  | { kind: 'ended' };

/** One call: frames out, messages in, one end. */
class RunningCall implements Call {
  readonly #method: DescMethod;
  readonly #options: CallOptions;
  readonly #handlers: StreamHandlers<Buffer>;
  readonly #reader = new FrameReader();
  readonly #deadline: Timer | undefined;
  #state: CallState = { kind: 'connecting', queue: [], sendClosed: false };
  /** What the peer's headers or trailers said. */
  #status: GrpcError | 'ok' | undefined;

  constructor(
    connection: Connection,
    clock: Clock,
    method: DescMethod,
    options: CallOptions,
    handlers: StreamHandlers<Buffer>,
  ) {
    this.#method = method;
    this.#options = options;
    this.#handlers = handlers;
    if (options.deadlineMs !== undefined) {
      this.#deadline = clock.after(options.deadlineMs, () =>
        this.#end(new GrpcError(grpcStatus.deadlineExceeded, `no answer within ${options.deadlineMs} ms`)),
      );
    }
    connection.acquire().then(
      (session) => this.#open(connection, session),
      (error: unknown) => this.#end(asGrpcError(error)),
    );
  }

  send(frame: Buffer): void {
    if (this.#state.kind === 'connecting') this.#state.queue.push(frame);
    else if (this.#state.kind === 'open' && !this.#state.stream.writableEnded)
      this.#state.stream.write(frame);
  }

  closeSend(): void {
    if (this.#state.kind === 'connecting') this.#state.sendClosed = true;
    else if (this.#state.kind === 'open') this.#state.stream.end();
  }

  cancel(): void {
    this.#end(new GrpcError(grpcStatus.cancelled, 'cancelled by the caller'));
  }

  #open(connection: Connection, session: ClientHttp2Session): void {
    if (this.#state.kind !== 'connecting') return;
    if (session.destroyed || session.closed) {
      this.#end(new GrpcError(grpcStatus.unavailable, 'the connection was lost'));
      return;
    }
    const { queue, sendClosed } = this.#state;
    const stream = session.request(this.#headers());
    this.#state = { kind: 'open', stream };
    stream.on('response', (headers) => {
      connection.answered(session);
      this.#onResponse(headers);
    });
    stream.on('trailers', (headers) => this.#onStatus(headers));
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (error) => this.#end(asGrpcError(error)));
    stream.on('close', () => this.#onClose(session, stream));
    for (const frame of queue) stream.write(frame);
    if (sendClosed) stream.end();
  }

  #headers(): Record<string, string> {
    const { deadlineMs, metadata } = this.#options;
    return {
      ...metadata,
      ':method': 'POST',
      ':path': `/${this.#method.parent.typeName}/${this.#method.name}`,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': 'isthmus',
      ...(deadlineMs === undefined || deadlineMs > MAX_TIMEOUT_VALUE
        ? {}
        : { 'grpc-timeout': `${Math.ceil(deadlineMs)}m` }),
    };
  }

  #onResponse(headers: IncomingHttpHeaders & { ':status'?: number | undefined }): void {
    if (headers['grpc-status'] !== undefined) {
      this.#onStatus(headers);
      return;
    }
    if (headers[':status'] !== 200) this.#status = fromHttpStatus(headers[':status'] ?? 0);
    else if (headers['content-type']?.startsWith('application/grpc') !== true) {
      this.#status = new GrpcError(
        grpcStatus.unknown,
        `the peer does not speak gRPC: content-type ${headers['content-type'] ?? 'missing'}`,
      );
    }
  }

  #onStatus(headers: IncomingHttpHeaders): void {
    const value = Number(headers['grpc-status'] ?? Number.NaN);
    if (value === grpcStatus.ok) this.#status ??= 'ok';
    else this.#status = new GrpcError(toGrpcCode(value), decodeMessage(headers['grpc-message']));
  }

  #onData(chunk: Buffer): void {
    if (this.#status instanceof GrpcError) return;
    try {
      this.#reader.push(chunk, (bytes) => {
        if (this.#state.kind === 'open') this.#handlers.message(bytes);
      });
    } catch (error) {
      this.#end(
        error instanceof GrpcError
          ? error
          : new GrpcError(grpcStatus.internal, `a message could not be taken: ${String(error)}`, {
              cause: error,
            }),
      );
    }
  }

  #onClose(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
    if (this.#status === 'ok') {
      this.#end(
        this.#reader.pendingBytes === 0
          ? undefined
          : new GrpcError(grpcStatus.internal, 'the stream ended inside a message'),
      );
      return;
    }
    // Node ends the streams of a broken connection as if the peer had cancelled them.
    const lost = session.destroyed
      ? new GrpcError(grpcStatus.unavailable, 'the connection was lost')
      : undefined;
    this.#end(this.#status ?? lost ?? fromReset(stream.rstCode ?? 0));
  }

  #end(error: GrpcError | undefined): void {
    const before = this.#state;
    if (before.kind === 'ended') return;
    this.#state = { kind: 'ended' };
    this.#deadline?.cancel();
    if (before.kind === 'open' && !before.stream.closed) before.stream.close(HTTP2_CANCEL);
    this.#handlers.end(error);
  }
}

function asGrpcError(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  return new GrpcError(grpcStatus.unavailable, error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

/** What a stream means that ended without a status (grpc/doc/PROTOCOL-HTTP2.md, "Errors"). */
function fromReset(code: number): GrpcError {
  switch (code) {
    case HTTP2_CANCEL:
      return new GrpcError(grpcStatus.cancelled, 'the peer cancelled the stream');
    case 0:
    case HTTP2_REFUSED_STREAM:
      return new GrpcError(grpcStatus.unavailable, 'the stream ended without a status');
    default:
      return new GrpcError(grpcStatus.unavailable, `the stream was reset with code ${code}`);
  }
}

/** grpc/doc/http-grpc-status-mapping.md. */
function fromHttpStatus(status: number): GrpcError {
  const details = `HTTP status ${status} instead of a gRPC answer`;
  switch (status) {
    case 400:
      return new GrpcError(grpcStatus.internal, details);
    case 401:
      return new GrpcError(grpcStatus.unauthenticated, details);
    case 403:
      return new GrpcError(grpcStatus.permissionDenied, details);
    case 404:
      return new GrpcError(grpcStatus.unimplemented, details);
    case 429:
    case 502:
    case 503:
    case 504:
      return new GrpcError(grpcStatus.unavailable, details);
    default:
      return new GrpcError(grpcStatus.unknown, details);
  }
}

/** `grpc-message` is percent-encoded UTF-8; a broken encoding is shown as it is. */
function decodeMessage(value: string | string[] | undefined): string {
  const text = Array.isArray(value) ? value.join(',') : (value ?? '');
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
