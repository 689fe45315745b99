import { type BackOff, type Clock, createBackOff, systemClock } from './clock.ts';
import type { Complaints } from './grpc-complaints.ts';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import type { ChannelOptions } from './grpc-types.ts';
import type { Http2Session } from './http2.ts';
import { connectNodeHttp2 } from './node-http2.ts';
import type { ResolvedAddress } from './resolver.ts';

/** ms for TCP, TLS and the peer's SETTINGS, per address: a few round trips and a busy machine. */
const CONNECT_TIMEOUT_MS = 5_000;
/** ms between attempts: short enough that a restarted control plane is found at once, long enough that a fleet does not hammer it. */
const BACK_OFF_MIN_MS = 100;
const BACK_OFF_MAX_MS = 5_000;

type State =
  | { kind: 'idle' }
  | { kind: 'connecting'; session: Promise<Http2Session> }
  | { kind: 'connected'; session: Http2Session; answered: boolean }
  /** The last attempt failed: the next one starts not before `until` (wall ms). */
  | { kind: 'backing-off'; until: number }
  | { kind: 'closed' };

/** The one HTTP/2 connection of a channel: made when a call needs it, dropped when it breaks. */
export class Connection {
  readonly #options: ChannelOptions;
  readonly #complaints: Complaints;
  readonly #clock: Clock;
  readonly #backOff: BackOff;
  #state: State = { kind: 'idle' };

  constructor(options: ChannelOptions, complaints: Complaints) {
    this.#options = options;
    this.#complaints = complaints;
    this.#clock = options.clock ?? systemClock;
    this.#backOff = createBackOff(BACK_OFF_MIN_MS, BACK_OFF_MAX_MS, options.random);
  }

  /** A session that takes requests (`Http2Events.ready`). */
  acquire(): Promise<Http2Session> {
    switch (this.#state.kind) {
      case 'connected':
        return Promise.resolve(this.#state.session);
      case 'connecting':
        return this.#state.session;
      case 'closed':
        return Promise.reject(new GrpcError(grpcStatus.cancelled, 'the channel is closed'));
      case 'idle':
        return this.#connect(0);
      default:
        // Backing off. A clock that was set back must not hold attempts off for longer than one back-off.
        return this.#connect(Math.min(Math.max(this.#state.until - this.#clock.now(), 0), BACK_OFF_MAX_MS));
    }
  }

  /** A call got an answer: the address works. */
  answered(session: Http2Session): void {
    if (this.#state.kind !== 'connected' || this.#state.session !== session) return;
    this.#state.answered = true;
    this.#backOff.reset();
  }

  close(): void {
    const before = this.#state;
    this.#state = { kind: 'closed' };
    if (before.kind === 'connected') before.session.destroy();
  }

  #connect(delayMs: number): Promise<Http2Session> {
    const session = this.#delay(delayMs)
      .then(() => this.#dialAll())
      .then(
        (made) => this.#connected(made),
        (error: unknown) => this.#failed(error),
      );
    this.#state = { kind: 'connecting', session };
    return session;
  }

  #delay(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }

  #connected(session: Http2Session): Http2Session {
    if (this.#state.kind === 'closed') {
      session.destroy();
      throw new GrpcError(grpcStatus.cancelled, 'the channel is closed');
    }
    // GOAWAY, or the end, may have come with the SETTINGS.
    if (!session.available) this.#failed(new Error('the peer took no stream'));
    this.#state = { kind: 'connected', session, answered: false };
    return session;
  }

  #failed(error: unknown): never {
    if (this.#state.kind !== 'closed') {
      this.#backOffNow();
      // Before the first certificate there is nothing wrong with the peer.
      if (this.#options.tls() !== undefined) this.#complaints.connection(messageOf(error));
    }
    if (error instanceof GrpcError) throw error;
    throw new GrpcError(
      grpcStatus.unavailable,
      `no connection to ${this.#options.address}: ${messageOf(error)}`,
      { cause: error },
    );
  }

  #lost(session: Http2Session, error: Error | undefined): void {
    if (this.#state.kind !== 'connected' || this.#state.session !== session) return;
    const { address, logger } = this.#options;
    logger.info({ address, error: error?.message }, 'the control connection has ended');
    // A peer that accepts and hangs up without an answer is as good as none.
    if (this.#state.answered) this.#state = { kind: 'idle' };
    else this.#backOffNow();
  }

  #backOffNow(): void {
    this.#state = { kind: 'backing-off', until: this.#clock.now() + this.#backOff.next() };
  }

  async #dialAll(): Promise<Http2Session> {
    const addresses = await this.#options.resolve(this.#options.address);
    const errors: string[] = [];
    for (const address of addresses) {
      if (this.#state.kind === 'closed') break;
      try {
        return await this.#dial(address);
      } catch (error) {
        errors.push(`${address.address}: ${messageOf(error)}`);
      }
    }
    throw new Error(errors.length === 0 ? 'the name has no address' : errors.join('; '));
  }

  #dial({ address, port }: ResolvedAddress): Promise<Http2Session> {
    const { tls, serverName, localAddress, anonymous, connect = connectNodeHttp2 } = this.#options;
    const tlsOptions = tls();
    if (tlsOptions === undefined) throw new Error('there is no certificate or trust anchor yet');
    const { promise, resolve, reject } = Promise.withResolvers<Http2Session>();
    const target = {
      host: address,
      port,
      tls: {
        ...tlsOptions,
        ALPNProtocols: ['h2'],
        ...(serverName === undefined ? {} : { servername: serverName }),
      },
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(anonymous === undefined ? {} : { anonymous }),
      clock: this.#clock,
    };
    const session = connect(target, {
      ready: () => resolve(session),
      draining: () => this.#lost(session, undefined),
      closed: (error) => {
        reject(error ?? new Error('the peer closed the connection'));
        this.#lost(session, error);
      },
    });
    const timeout = this.#clock.after(CONNECT_TIMEOUT_MS, () => {
      reject(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`));
      session.destroy();
    });
    return promise.finally(() => timeout.cancel());
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
