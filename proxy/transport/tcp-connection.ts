import { Socket } from 'node:net';
import type { Carrier, CarrierOwner } from './carrier.ts';
import type { EndPoint, TcpBindings, TcpHandle } from './tcp-bindings.ts';

/**
 * A TCP connection that stands and that nobody reads from yet: a socket of the runtime's, or what is below one. A
 * socket takes 2 KiB of the heap and half of the time of an accept, and who drives its handle uses next to nothing of
 * it.
 */
export type Connection = Socket | TcpConnection;

/** Whom a connection was accepted by: it counts them. */
export interface Acceptor {
  left(): void;
}

type State =
  | 'open'
  /** Half-closing: our end is on its way to the kernel. */
  | 'finishing'
  /** Our end is with the kernel; the peer may still send. */
  | 'finished'
  | 'closing'
  | 'closed'
  /** A socket of the runtime's has it. */
  | 'handed-over';

/** A connection by its handle alone. */
export class TcpConnection implements Carrier {
  readonly handle: TcpHandle;
  readonly #bindings: TcpBindings;
  readonly #acceptor: Acceptor | undefined;
  #state: State = 'open';
  #owner: CarrierOwner | undefined = undefined;
  /** Asked for when somebody wants to know, and kept: a closed connection cannot tell. */
  #peer: EndPoint | undefined = undefined;
  /** When it is closed. */
  #bytesRead = 0;
  #bytesWritten = 0;

  /** @param handle connected */
  constructor(bindings: TcpBindings, handle: TcpHandle, acceptor?: Acceptor) {
    this.#bindings = bindings;
    this.handle = handle;
    this.#acceptor = acceptor;
  }

  get remoteAddress(): string | undefined {
    return this.#remote.address;
  }
  get remotePort(): number | undefined {
    return this.#remote.port;
  }
  /** `IPv4` or `IPv6`. */
  get localFamily(): string | undefined {
    const local: EndPoint = {};
    if (this.#alive) this.handle.getsockname(local);
    return local.family;
  }
  /** The file descriptor; -1: it is closed. */
  get fd(): number {
    return this.#alive ? this.handle.fd : -1;
  }

  get bytesRead(): number {
    return this.#alive ? this.handle.bytesRead : this.#bytesRead;
  }
  get bytesWritten(): number {
    return this.#alive ? this.handle.bytesWritten : this.#bytesWritten;
  }

  attach(owner: CarrierOwner): void {
    this.#owner = owner;
    if (this.#state === 'closed') setImmediate(() => this.#tellClosed());
  }

  finish(): void {
    if (this.#state !== 'open') return;
    const request = new this.#bindings.ShutdownRequest();
    request.oncomplete = () => this.#finished();
    this.#state = 'finishing';
    // Not 0: its peer has gone, or it ended within the call.
    if (this.handle.shutdown(request) !== 0) setImmediate(() => this.#finished());
  }

  destroy(): void {
    if (!this.#alive) return;
    this.#ends();
    this.handle.close(() => this.#closed());
  }

  reset(): void {
    if (this.#state !== 'open') return this.destroy();
    this.#ends();
    // An error: the system knows nothing of the connection any more.
    if (this.handle.reset(() => this.#closed()) !== 0) setImmediate(() => this.#closed());
  }

  /** Hands it over to a socket of the runtime's, which comes paused: for who needs one. Errors of it are caught; its close tells of them. */
  toSocket(): Socket {
    if (!this.#alive) return new Socket().destroy();
    // As the runtime's own servers make theirs: options that its types do not know.
    const options: object = { handle: this.handle, allowHalfOpen: true, pauseOnCreate: true };
    const socket = new Socket(options);
    this.#state = 'handed-over';
    socket.on('error', ignoreError);
    if (this.#acceptor !== undefined) socket.once('close', () => this.#acceptor?.left());
    return socket;
  }

  get #alive(): boolean {
    return this.#state === 'open' || this.#state === 'finishing' || this.#state === 'finished';
  }

  get #remote(): EndPoint {
    if (this.#peer === undefined) {
      this.#peer = {};
      if (this.#alive) this.handle.getpeername(this.#peer);
    }
    return this.#peer;
  }

  #ends(): void {
    this.#bytesRead = this.handle.bytesRead;
    this.#bytesWritten = this.handle.bytesWritten;
    this.#state = 'closing';
  }

  #finished(): void {
    if (this.#state !== 'finishing') return;
    this.#state = 'finished';
    this.#owner?.carrierFinished();
  }

  #closed(): void {
    this.#state = 'closed';
    this.#acceptor?.left();
    this.#tellClosed();
  }

  #tellClosed(): void {
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.carrierClosed();
  }
}

/** The connection as a socket of the runtime's, paused. It is that one's from now on. */
export function socketOf(connection: Connection): Socket {
  return connection instanceof TcpConnection ? connection.toSocket() : connection;
}

/** An error is followed by 'close', which the owner handles. */
function ignoreError(): void {}
