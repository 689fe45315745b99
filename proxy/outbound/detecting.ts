import { Detector, type Protocol } from '../detect/detect.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';

/** What was kept while the protocol was not known. */
export interface Kept {
  readonly bytes: Buffer;
  /** The client has ended its side. */
  readonly ended: boolean;
}

/**
 * Keeps a connection's bytes until it is known what they are: by themselves, by the time that is over (servers that
 * speak first), or because somebody says so. While it is held, bytes that look like HTTP decide nothing: somebody may
 * yet say that they are not to be looked at.
 */
export class Detecting implements TransportHandler {
  readonly #timers: TimerWheel;
  readonly #decided: (protocol: Protocol | undefined, kept: Kept) => void;
  readonly #detector = new Detector();
  readonly #timer = new Timer(() => this.#decide(this.#found ?? { kind: 'opaque', reason: 'timeout' }));
  readonly #transport: Transport;
  readonly #hold = new Timer(() => this.release());
  #held = false;
  /** By the bytes, while it is held. */
  #found: Protocol | undefined;
  #bytes: Buffer;
  #ended = false;
  #over = false;

  /**
   * Takes the transport. `decided` is called once, and gives the transport another handler at once; undefined: the client has gone.
   * @param rest what was read before
   */
  constructor(
    transport: Transport,
    timers: TimerWheel,
    rest: Buffer,
    decided: (protocol: Protocol | undefined, kept: Kept) => void,
  ) {
    this.#transport = transport;
    this.#timers = timers;
    this.#bytes = rest;
    this.#decided = decided;
    transport.handler = this;
  }

  /** @param detectMs ms until the bytes count as opaque */
  start(detectMs: number): void {
    if (this.#over) return;
    this.#timers.arm(this.#timer, detectMs);
    if (this.#bytes.length > 0) this.#look(this.#bytes, 0, this.#bytes.length);
  }

  /** HTTP is decided by `release`, or after so many ms. */
  hold(ms: number): void {
    if (this.#over) return;
    this.#held = true;
    this.#timers.arm(this.#hold, ms);
  }

  /** Nobody will say anything: the bytes count. */
  release(): void {
    this.#held = false;
    this.#timers.cancel(this.#hold);
    if (this.#found !== undefined) this.#decide(this.#found);
  }

  /** It is known without a look at the bytes. */
  end(protocol: Protocol): void {
    this.#decide(protocol);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#bytes = Buffer.concat([this.#bytes, buffer.subarray(start, end)]);
    if (this.#found === undefined) this.#look(buffer, start, end);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#ended = true;
    if (this.#found === undefined) this.#decide({ kind: 'opaque', reason: 'end' });
  }

  onClose(): void {
    this.#decide(undefined);
  }

  #look(buffer: Buffer, start: number, end: number): void {
    const protocol = this.#detector.push(buffer, start, end);
    if (protocol === undefined) return;
    const isHttp = protocol.kind === 'http1' || protocol.kind === 'http2';
    // Everything else passes as it is, whatever is said.
    if (!this.#held || !isHttp) return this.#decide(protocol);
    this.#found = protocol;
    this.#transport.pause();
  }

  #decide(protocol: Protocol | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#timers.cancel(this.#timer);
    this.#timers.cancel(this.#hold);
    if (this.#found !== undefined) this.#transport.resume();
    this.#decided(protocol, { bytes: this.#bytes, ended: this.#ended });
  }
}
