import type { Method, MethodKind } from '../api/proto/methods.ts';
import { systemClock } from './clock.ts';
import { requestHead, RunningCall } from './grpc-call.ts';
import { Complaints } from './grpc-complaints.ts';
import { Connection } from './grpc-connection.ts';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import { encodeFrame } from './grpc-frames.ts';
import { Inbox } from './grpc-inbox.ts';
import type { CallOptions, Channel, ChannelOptions, StreamHandlers } from './grpc-types.ts';

/** Makes a channel. */
export function createChannel(options: ChannelOptions): Channel {
  const clock = options.clock ?? systemClock;
  const complaints = new Complaints(options.address, options.logger, clock);
  const connection = new Connection(options, complaints);
  const inbox = new Inbox(clock);
  const running = new Set<RunningCall>();

  function start<I extends object, O extends object>(
    method: Method<MethodKind, I, O>,
    handlers: StreamHandlers<O>,
    callOptions: CallOptions,
  ): RunningCall {
    const call = new RunningCall(
      connection,
      clock,
      inbox,
      requestHead(method.path, options.address, callOptions),
      callOptions,
      {
        message: (bytes) => handlers.message(method.decode(bytes)),
        end: (error) => {
          running.delete(call);
          handlers.end(error);
        },
      },
    );
    running.add(call);
    return call;
  }

  return {
    unary<I extends object, O extends object>(
      method: Method<'unary', I, O>,
      message: I,
      callOptions: CallOptions = {},
    ) {
      const { answer, handlers } = soleAnswer(method);
      const call = start(method, handlers, callOptions);
      call.send(encodeFrame(method.encode(message)));
      call.closeSend();
      return answer;
    },
    serverStream(method, message, handlers, callOptions = {}) {
      const end = (error: GrpcError | undefined): void => {
        if (error !== undefined) complaints.stream(method.path, error);
        handlers.end(error);
      };
      const call = start(method, { ...handlers, end }, callOptions);
      call.send(encodeFrame(method.encode(message)));
      call.closeSend();
      return call;
    },
    bidiStream(method, handlers, callOptions = {}) {
      const call = start(method, handlers, callOptions);
      return {
        send: (message) => call.send(encodeFrame(method.encode(message))),
        closeSend: () => call.closeSend(),
        cancel: () => call.cancel(),
      };
    },
    connect() {
      connection.acquire().catch(() => undefined);
    },
    close() {
      for (const call of running) call.cancel();
      connection.close();
    },
  };
}

/** What hears the one answer of a unary call. */
function soleAnswer<I extends object, O extends object>(
  method: Method<'unary', I, O>,
): { answer: Promise<O>; handlers: StreamHandlers<O> } {
  const { promise, resolve, reject } = Promise.withResolvers<O>();
  const missing = `${method.path} ended with OK but without an answer`;
  let answer: O | undefined;
  const handlers: StreamHandlers<O> = {
    message(received) {
      answer = received;
    },
    end(error) {
      if (error !== undefined) reject(error);
      else if (answer === undefined) reject(new GrpcError(grpcStatus.internal, missing));
      else resolve(answer);
    },
  };
  return { answer: promise, handlers };
}
