import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type BackOff, type Clock, createBackOff, systemClock, type Timer } from './clock.ts';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import type { ChannelOptions } from './grpc-types.ts';
import type { ResolvedAddress } from './resolver.ts';

/** ms for TCP, TLS and the peer's SETTINGS, per address: a few round trips and a busy machine. */
const CONNECT_TIMEOUT_MS = 5_000;
/** ms between attempts: short enough that a restarted control plane is found at once, long enough that a fleet does not hammer it. */
const BACK_OFF_MIN_MS = 100;
const BACK_OFF_MAX_MS = 5_000;
/** ms; a peer that vanished without a FIN is noticed after their sum. */
const KEEP_ALIVE_PERIOD_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 10_000;
/** Bytes of received data per stream: control messages are small and are consumed at once. */
const WINDOW_BYTES = 1024 * 1024;

type State =
  | { kind: 'idle' }
  | { kind: 'connecting'; session: Promise<ClientHttp2Session> }
  | { kind: 'connected'; session: ClientHttp2Session; answered: boolean; keepAlive: Timer }
  /** The last attempt failed: the next one starts not before `until` (wall ms). */
  | { kind: 'backing-off'; until: number }
  | { kind: 'closed' };

/** The one HTTP/2 connection of a channel: made when a call needs it, dropped when it breaks. */
export class Connection {
  readonly #options: ChannelOptions;
  readonly #clock: Clock;
  readonly #backOff: BackOff;
  #state: State = { kind: 'idle' };

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backOff = createBackOff(BACK_OFF_MIN_MS, BACK_OFF_MAX_MS, options.random);
  }

  /** A session that has seen the peer's SETTINGS: in TLS 1.3 only that shows that the peer took our certificate. */
  acquire(): Promise<ClientHttp2Session> {
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
  answered(session: ClientHttp2Session): void {
    if (this.#state.kind !== 'connected' || this.#state.session !== session) return;
    this.#state.answered = true;
    this.#backOff.reset();
  }

  close(): void {
    const before = this.#state;
    this.#state = { kind: 'closed' };
    if (before.kind !== 'connected') return;
    before.keepAlive.cancel();
    before.session.destroy();
  }

  #connect(delayMs: number): Promise<ClientHttp2Session> {
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

  #connected(session: ClientHttp2Session): ClientHttp2Session {
    if (this.#state.kind === 'closed') {
      session.destroy();
      throw new GrpcError(grpcStatus.cancelled, 'the channel is closed');
    }
    this.#state = { kind: 'connected', session, answered: false, keepAlive: this.#keepAlive(session) };
    session.once('goaway', () => this.#lost(session));
    session.once('close', () => this.#lost(session));
    return session;
  }

  #failed(error: unknown): never {
    if (this.#state.kind !== 'closed') this.#backOffNow();
    if (error instanceof GrpcError) throw error;
    throw new GrpcError(
      grpcStatus.unavailable,
      `no connection to ${this.#options.address}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }

  #lost(session: ClientHttp2Session): void {
    if (this.#state.kind !== 'connected' || this.#state.session !== session) return;
    this.#state.keepAlive.cancel();
    // A peer that accepts and hangs up without an answer is as good as none.
    if (this.#state.answered) this.#state = { kind: 'idle' };
    else this.#backOffNow();
  }

  #backOffNow(): void {
    this.#state = { kind: 'backing-off', until: this.#clock.now() + this.#backOff.next() };
  }

  #keepAlive(session: ClientHttp2Session): Timer {
    let timer: Timer;
    const ping = (): void => {
      timer = this.#clock.after(KEEP_ALIVE_TIMEOUT_MS, () => {
        this.#options.logger.warn(
          { address: this.#options.address },
          'the control connection is silent: dropped',
        );
        session.destroy();
      });
      session.ping((error) => {
        timer.cancel();
        if (error === null && !session.destroyed) timer = this.#clock.after(KEEP_ALIVE_PERIOD_MS, ping);
      });
    };
    timer = this.#clock.after(KEEP_ALIVE_PERIOD_MS, ping);
    return { cancel: () => timer.cancel() };
  }

  async #dialAll(): Promise<ClientHttp2Session> {
    const addresses = await this.#options.resolve(this.#options.address);
    const errors: string[] = [];
    for (const address of addresses) {
      if (this.#state.kind === 'closed') break;
      try {
        return await this.#dial(address);
      } catch (error) {
        errors.push(`${address.address}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    throw new Error(errors.length === 0 ? 'the name has no address' : errors.join('; '));
  }

  #dial(address: ResolvedAddress): Promise<ClientHttp2Session> {
    const { tls, serverName, localAddress } = this.#options;
    const tlsOptions = tls();
    if (tlsOptions === undefined) throw new Error('there is no certificate or trust anchor yet');
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    const socket = connectTls({
      ...tlsOptions,
      host: address.address,
      port: address.port,
      ALPNProtocols: ['h2'],
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    const timeout = this.#clock.after(CONNECT_TIMEOUT_MS, () => {
      socket.destroy(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`));
    });
    socket.on('error', reject);
    socket.once('secureConnect', () => {
      const session = openSession(socket, serverName ?? address.address);
      session.on('error', reject);
      session.once('close', () => reject(new Error('the peer closed the connection')));
      session.once('remoteSettings', () => resolve(session));
    });
    return promise.finally(() => timeout.cancel());
  }
}

function openSession(socket: TLSSocket, authority: string): ClientHttp2Session {
  return connectHttp2(`https://${authority}`, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
  });
}
