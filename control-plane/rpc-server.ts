import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import type { ServerStream } from '../destination/index.ts';
import { errorMessage, type Log } from '../kubernetes/log.ts';
import {
  GrpcError,
  grpcStatus,
  type PeerIdentity,
  type WorkloadIdentity,
} from '../workload-identity/index.ts';
import type { Places, Served } from './places.ts';
import { listenTls, type SecureConnection, type TlsListener } from './tls-listener.ts';

/** Streams of one connection at a time. A proxy has three a target. */
const MAX_STREAMS = 4_096;
/** Bytes of a request: the largest is a Certify with a token and a CSR, some 4 KiB. */
const MAX_REQUEST_BYTES = 64 * 1024;
/** Milliseconds: half-open connections are found by pings well within the minute in which a stalled stream is ended. */
const KEEPALIVE_MS = 20_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** Milliseconds that an answer gets to leave before its connection is ended. */
const LAST_ANSWER_MS = 500;

/** A method whose kind is known, as protobuf-es describes it. */
type Method<K extends DescMethod['methodKind'], I extends DescMessage, O extends DescMessage> = DescMethod & {
  methodKind: K;
  input: I;
  output: O;
};

/** Who calls. */
export interface Call {
  /** Undefined: the client showed no certificate. */
  peer: PeerIdentity | undefined;
  /** Ends the connection once the answer has had time to leave. */
  endConnection(): void;
}

/** The client's half of a call that streams both ways. */
export interface RequestStream<M> {
  onMessage(listener: (message: M) => void): void;
}

/**
 * gRPC on one port of the mesh. Handlers throw GrpcError for a status; anything else that they throw is logged and answered as Internal, without its text.
 */
export class RpcServer {
  readonly #service: Served;
  readonly #places: Places;
  readonly #log: Log;
  readonly #server = new Server({
    'grpc.max_concurrent_streams': MAX_STREAMS,
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.enable_channelz': 0,
  });
  // The sockets have done TLS already.
  readonly #injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  readonly #connections = new Map<string, SecureConnection>();
  readonly #streams = new Set<ServerStream<never>>();
  #listener: TlsListener | undefined;

  constructor(service: Served, places: Places, log: Log) {
    this.#service = service;
    this.#places = places;
    this.#log = log;
  }

  /** One answer to one request. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: Method<'unary', I, O>,
    handler: (request: MessageShape<I>, call: Call) => MessageShape<O> | Promise<MessageShape<O>>,
  ): void {
    const answer = async (
      call: ServerUnaryCall<MessageShape<I>, MessageShape<O>>,
      callback: sendUnaryData<MessageShape<O>>,
    ): Promise<void> => {
      try {
        const response = await handler(call.request, this.#call(call.getPeer()));
        callback(null, response);
      } catch (error) {
        callback(statusOf(this.#grpcError(method, error)));
      }
    };
    const handle: handleUnaryCall<MessageShape<I>, MessageShape<O>> = (call, callback) => {
      void answer(call, callback);
    };
    this.#register(method, handle, 'unary');
  }

  /** Many answers to one request. */
  serverStreaming<I extends DescMessage, O extends DescMessage>(
    method: Method<'server_streaming', I, O>,
    handler: (request: MessageShape<I>, stream: ServerStream<MessageShape<O>>, call: Call) => void,
  ): void {
    const handle: handleServerStreamingCall<MessageShape<I>, MessageShape<O>> = (call) => {
      const stream = this.#stream(call);
      this.#run(method, stream, () => handler(call.request, stream, this.#call(call.getPeer())));
    };
    this.#register(method, handle, 'serverStream');
  }

  /** Messages both ways. */
  bidiStreaming<I extends DescMessage, O extends DescMessage>(
    method: Method<'bidi_streaming', I, O>,
    handler: (
      requests: RequestStream<MessageShape<I>>,
      stream: ServerStream<MessageShape<O>>,
      call: Call,
    ) => void,
  ): void {
    const handle: handleBidiStreamingCall<MessageShape<I>, MessageShape<O>> = (call) => {
      const stream = this.#stream(call);
      // A client that has no more to say may still want to hear; one that is gone is told by `cancelled`.
      call.on('end', () => call.end());
      const requests = {
        onMessage: (listener: (message: MessageShape<I>) => void) => {
          call.on('data', (message: MessageShape<I>) => this.#run(method, stream, () => listener(message)));
        },
      };
      this.#run(method, stream, () => handler(requests, stream, this.#call(call.getPeer())));
    };
    this.#register(method, handle, 'bidi');
  }

  /** Starts to listen. Rejects when the address can't be bound. */
  async listen(host: string, port: number, identity: WorkloadIdentity): Promise<number> {
    this.#listener = await listenTls({
      host,
      port,
      service: this.#service,
      places: this.#places,
      identity,
      log: this.#log,
      onConnection: (connection) => this.#accept(connection),
    });
    return this.#listener.port;
  }

  /** Takes no more calls, sends GOAWAY, ends the streams with Unavailable, and gives what runs `graceMs` to end. */
  async close(graceMs: number): Promise<void> {
    const closed = this.#listener?.close();
    this.#injector.drain(graceMs);
    const stopping = new GrpcError(grpcStatus.unavailable, 'the control plane is stopping');
    for (const stream of this.#streams) stream.fail(stopping);
    await closed;
    this.#injector.destroy();
  }

  #accept(connection: SecureConnection): void {
    const { socket } = connection;
    const key = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#connections.set(key, connection);
    socket.once('close', () => this.#connections.delete(key));
    // Node's HTTP/2 server takes no TLS socket that says nothing of ALPN, though Linkerd's proxy speaks HTTP/2 without it; and of a socket that no `tls.Server`
    // made it does not see that the handshake is over.
    Object.assign(socket, { alpnProtocol: 'h2', secureConnecting: false });
    this.#injector.injectConnection(socket);
  }

  #call(client: string): Call {
    const connection = this.#connections.get(client);
    return {
      peer: connection?.peer,
      endConnection: () => {
        setTimeout(() => connection?.socket.destroySoon(), LAST_ANSWER_MS).unref();
      },
    };
  }

  #register<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    handle:
      | handleUnaryCall<MessageShape<I>, MessageShape<O>>
      | handleServerStreamingCall<MessageShape<I>, MessageShape<O>>
      | handleBidiStreamingCall<MessageShape<I>, MessageShape<O>>,
    kind: 'unary' | 'serverStream' | 'bidi',
  ): void {
    this.#server.register<MessageShape<I>, MessageShape<O>>(
      `/${method.parent.typeName}/${method.name}`,
      handle,
      (message) => Buffer.from(toBinary(method.output, message)),
      (bytes) => fromBinary(method.input, bytes),
      kind,
    );
  }

  #stream<I, O>(call: ServerWritableStream<I, O> | ServerDuplexStream<I, O>): ServerStream<O> {
    let over = false;
    const closers = new Set<() => void>();
    const end = (): void => {
      if (over) return;
      over = true;
      this.#streams.delete(stream);
      for (const closer of closers) closer();
    };
    const stream: ServerStream<O> = {
      write: (message) => over || call.write(message),
      onDrain: (listener) => call.on('drain', listener),
      onClose: (listener) => {
        if (over) listener();
        else closers.add(listener);
      },
      fail: (error) => {
        if (over) return;
        call.emit('error', statusOf(error));
        end();
      },
    };
    this.#streams.add(stream);
    call.on('cancelled', end);
    call.on('close', end);
    call.on('finish', end);
    return stream;
  }

  #run(method: DescMethod, stream: ServerStream<never>, handler: () => void): void {
    try {
      handler();
    } catch (error) {
      stream.fail(this.#grpcError(method, error));
    }
  }

  #grpcError(method: DescMethod, error: unknown): GrpcError {
    if (error instanceof GrpcError) return error;
    this.#log.error({ method: method.name, error: errorMessage(error) }, 'a call failed');
    return new GrpcError(grpcStatus.internal, 'the control plane failed; its log says why');
  }
}

function statusOf(error: GrpcError): { code: number; details: string; message: string } {
  return { code: error.code, details: error.details, message: error.details };
}
