import { listenOn } from '../listening.ts';
import { connectPlain } from '../transport/connect.ts';
import type { Listener } from '../transport/listen.ts';
import type { Transport, Wrap } from '../transport/transport.ts';
import { WarmUpAnswerEnd, warmUpAnswers, WarmUpRequestEnd, warmUpRequests } from './warm-up-messages.ts';

/**
 * The client of a warm-up: requests, one after the other on each of its connections. It drives sockets as the proxy
 * does: the runtime's streams would cost as much as all the rest.
 */
export class WarmUpClient {
  readonly #wrap: Wrap;
  readonly #more: (done: number) => boolean;
  readonly #keep: number;
  readonly #open = new Set<Transport>();
  readonly #requests: readonly Buffer[];
  /** Told when a connection asks no more: of those that still do. */
  readonly #asking = new Map<Transport, () => void>();
  #asked = 0;
  #done = 0;
  #state: 'asking' | 'over' = 'asking';

  /**
   * @param authority what is asked for
   * @param more whether it goes on, by the number of requests that were answered
   * @param keep connections that stay when it is over
   */
  constructor(wrap: Wrap, authority: string, more: (done: number) => boolean, keep: number) {
    this.#wrap = wrap;
    this.#requests = warmUpRequests(authority);
    this.#more = more;
    this.#keep = keep;
  }

  /** Resolves when it is over, and every connection has been answered or has ended, with the number of requests that were answered. */
  async run(host: string, port: number, connections: number): Promise<number> {
    await Promise.all(Array.from({ length: connections }, () => this.#connect(host, port)));
    // Not before: requests that are cut would still come to the app.
    for (const transport of [...this.#open].slice(this.#keep)) {
      this.#open.delete(transport);
      transport.destroy();
    }
    return this.#done;
  }

  /** Another request on each connection that has stayed, of another kind on each. @returns of each what resolves when it has been answered or has ended */
  askAgain(): readonly Promise<void>[] {
    this.#asked = 0;
    return [...this.#open].map((transport) => new Promise<void>((over) => this.#ask(transport, over)));
  }

  /** Connections that are open. */
  get open(): number {
    return this.#open.size;
  }

  /** Ends all connections at once. */
  stop(): void {
    this.#state = 'over';
    for (const transport of this.#open) transport.destroy();
  }

  /** Resolves when the connection asks no more. */
  #connect(host: string, port: number): Promise<void> {
    return new Promise((resolve) => {
      connectPlain({ host, port, tcp: this.#wrap.tcp }, (_error, connection) => {
        if (connection === undefined) return resolve();
        const transport = this.#wrap(connection);
        this.#open.add(transport);
        this.#serve(transport);
        if (this.#state === 'asking') return this.#ask(transport, resolve);
        transport.destroy();
        resolve();
      });
    });
  }

  #serve(transport: Transport): void {
    const answer = new WarmUpAnswerEnd();
    transport.handler = {
      onData: (buffer, start, end) => {
        if (answer.read(buffer, start, end)) this.#answered(transport);
      },
      onDrain() {},
      onEnd: () => transport.destroy(),
      onClose: () => {
        this.#open.delete(transport);
        this.#over(transport);
      },
    };
  }

  #answered(transport: Transport): void {
    if (this.#state === 'asking' && !this.#more(++this.#done)) this.#state = 'over';
    if (this.#state === 'asking') this.#send(transport);
    else this.#over(transport);
  }

  #over(transport: Transport): void {
    this.#asking.get(transport)?.();
    this.#asking.delete(transport);
  }

  #ask(transport: Transport, over: () => void): void {
    this.#asking.set(transport, over);
    this.#send(transport);
  }

  #send(transport: Transport): void {
    const request = this.#requests[this.#asked++ % this.#requests.length];
    if (request !== undefined) transport.write(request, 0, request.length);
  }
}

/** No request is answered: so many have to wait. */
interface Still {
  readonly kind: 'still';
  readonly requests: number;
  readonly complete: () => void;
}

/** The app of a warm-up: it answers every request until it stands still. */
export class WarmUpApp {
  readonly #answers = warmUpAnswers();
  readonly #open = new Set<Transport>();
  readonly #waiting = new Set<Transport>();
  #listener: Listener | undefined;
  #answered = 0;
  #state: { readonly kind: 'answering' } | Still = { kind: 'answering' };

  private constructor() {}

  /** @param maxConnections what comes beyond is closed */
  static async start(wrap: Wrap, host: string, maxConnections: number): Promise<WarmUpApp> {
    const app = new WarmUpApp();
    const by = { maxConnections, onDropped() {}, tcp: wrap.tcp };
    app.#listener = await listenOn(host, 0, (connection) => app.#serve(wrap(connection)), by);
    return app;
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** From now on nothing is answered. Resolves when so many requests wait, and all other connections are closed; or with `stop`. */
  standStill(requests: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#state = { kind: 'still', requests, complete: resolve };
    this.#look(this.#state);
    return promise;
  }

  /** Answers what waits, and what comes. */
  goOn(): void {
    this.#state = { kind: 'answering' };
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const transport of waiting) this.#asked(transport);
  }

  /** Lets nobody else in. */
  stopListening(): void {
    this.#listener?.close();
  }

  /** Ends all connections at once. */
  stop(): void {
    this.stopListening();
    if (this.#state.kind === 'still') this.#state.complete();
    for (const transport of this.#open) transport.destroy();
  }

  #look({ requests, complete }: Still): void {
    if (this.#waiting.size < requests) return;
    for (const transport of this.#open) if (!this.#waiting.has(transport)) transport.destroy();
    complete();
  }

  #serve(transport: Transport): void {
    const request = new WarmUpRequestEnd();
    this.#open.add(transport);
    transport.handler = {
      onData: (buffer, start, end) => {
        if (request.read(buffer, start, end)) this.#asked(transport);
      },
      onDrain() {},
      onEnd: () => transport.end(),
      onClose: () => {
        this.#open.delete(transport);
        this.#waiting.delete(transport);
      },
    };
  }

  #asked(transport: Transport): void {
    if (this.#state.kind === 'still') {
      this.#waiting.add(transport);
      return this.#look(this.#state);
    }
    const answer = this.#answers[this.#answered++ % this.#answers.length];
    if (answer !== undefined) transport.write(answer, 0, answer.length);
  }
}
