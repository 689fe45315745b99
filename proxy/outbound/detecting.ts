import { Detector, type Protocol } from '../detect.ts';
import { Timer, type TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';

/** What was kept while the protocol was not known. */
export interface Kept {
  readonly bytes: Buffer;
  /** The client has ended its side. */
  readonly ended: boolean;
}

/** Keeps a connection's bytes until it is known what they are: by themselves, by the time that is over (servers that speak first), or because somebody says so. */
export class Detecting implements TransportHandler {
  readonly #timers: TimerWheel;
  readonly #decided: (protocol: Protocol | undefined, kept: Kept) => void;
  readonly #detector = new Detector();
  readonly #timer = new Timer(() => this.#decide({ kind: 'opaque', reason: 'timeout' }));
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

  /** It is known without a look at the bytes. */
  end(protocol: Protocol): void {
    this.#decide(protocol);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.#bytes = Buffer.concat([this.#bytes, buffer.subarray(start, end)]);
    this.#look(buffer, start, end);
  }

  onDrain(): void {}

  onEnd(): void {
    this.#ended = true;
    this.#decide({ kind: 'opaque', reason: 'end' });
  }

  onClose(): void {
    this.#decide(undefined);
  }

  #look(buffer: Buffer, start: number, end: number): void {
    const protocol = this.#detector.push(buffer, start, end);
    if (protocol !== undefined) this.#decide(protocol);
  }

  #decide(protocol: Protocol | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#timers.cancel(this.#timer);
    this.#decided(protocol, { bytes: this.#bytes, ended: this.#ended });
  }
}
