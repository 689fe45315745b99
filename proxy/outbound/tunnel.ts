import { Detector } from '../detect.ts';
import type { OpaqueServerConnection } from '../transport/opaque.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { connectHead } from '../upstream/connect-head.ts';
import type { Target } from './target.ts';

/** What becomes of the inside of a tunnel. */
export interface TunnelHandlers {
  http1(transport: Transport): TransportHandler;
  opaque(transport: Transport): OpaqueServerConnection;
}

/**
 * A connection whose target is known, before its protocol is: the inside of a CONNECT, or a redirected one. Bytes are kept until the detector has decided, the detection time is over (servers that speak first), or
 * discovery says that the target is opaque, whichever is first.
 */
export class Tunnel implements TransportHandler {
  readonly #transport: Transport;
  readonly #target: Target;
  readonly #timers: TimerWheel;
  readonly #handlers: TunnelHandlers;
  readonly #detector = new Detector();
  readonly #timer: Timer;
  readonly #unsubscribe: () => void;
  #kept: Buffer = Buffer.alloc(0);
  #ended = false;
  #decided = false;

  constructor(transport: Transport, target: Target, timers: TimerWheel, handlers: TunnelHandlers) {
    this.#transport = transport;
    this.#target = target;
    this.#timers = timers;
    this.#handlers = handlers;
    this.#timer = new Timer(() => this.#becomeOpaque());
    this.#unsubscribe = target.onFound(() => this.#lookAtTarget());
  }

  /** @param rest what was read before  @param detectMs ms until the inside counts as opaque */
  start(rest: Buffer, detectMs: number): void {
    this.#transport.handler = this;
    this.#timers.arm(this.#timer, detectMs);
    this.#kept = rest;
    this.#lookAtTarget();
    if (rest.length > 0) this.#detect(rest, 0, rest.length);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#kept = Buffer.concat([this.#kept, buffer.subarray(start, end)]);
    this.#detect(buffer, start, end);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#ended = true;
    this.#becomeOpaque();
  }

  onClose(): void {
    this.#decide();
  }

  #detect(buffer: Buffer, start: number, end: number): void {
    if (this.#decided) return;
    const protocol = this.#detector.push(buffer, start, end);
    if (protocol === undefined) return;
    if (protocol.kind === 'http1') this.#becomeHttp1();
    else this.#becomeOpaque();
  }

  #lookAtTarget(): void {
    if (this.#target.opaque === true) this.#becomeOpaque();
  }

  #becomeHttp1(): void {
    if (!this.#decide()) return;
    const handler = this.#handlers.http1(this.#transport);
    this.#transport.handler = handler;
    handler.onData(this.#kept, 0, this.#kept.length);
  }

  #becomeOpaque(): void {
    if (!this.#decide()) return;
    const connection = this.#handlers.opaque(this.#transport);
    this.#transport.handler = connection;
    connection.start(connectHead(this.#target.authority), this.#kept);
    if (this.#ended) connection.onEnd();
  }

  #decide(): boolean {
    if (this.#decided) return false;
    this.#decided = true;
    this.#timers.cancel(this.#timer);
    this.#unsubscribe();
    return true;
  }
}
