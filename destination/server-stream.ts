import type { GrpcError } from '../workload-identity/index.ts';

/** The server's half of a server-streaming call, free of any gRPC library. */
export interface ServerStream<M> {
  /** False when the transport has taken all it wants for now: `onDrain` tells when it wants more. */
  write(message: M): boolean;
  /** Called each time the transport wants more again. */
  onDrain(listener: () => void): void;
  /** The call is over: the client left, the connection broke, or `fail` was called. Called once, at once when it is over already. */
  onClose(listener: () => void): void;
  /** Ends the call with a status. */
  fail(error: GrpcError): void;
}
