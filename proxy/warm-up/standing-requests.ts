import type { WarmUpApp, WarmUpClient } from './warm-up-ends.ts';

/** Requests of a warm-up that have come to the app and are not answered: all that requests need exists as long. */
export class StandingRequests {
  readonly #client: WarmUpClient;
  readonly #app: WarmUpApp;
  #answers: readonly Promise<void>[] = [];

  constructor(client: WarmUpClient, app: WarmUpApp) {
    this.#client = client;
    this.#app = app;
  }

  /**
   * Asks on each of the client's connections.
   * @returns whether all stand: not where one was answered by somebody else, or has ended, or there is no connection
   */
  async ask(): Promise<boolean> {
    const { open } = this.#client;
    this.#answers = this.#client.askAgain();
    const stands = this.#app.standStill(open).then(() => true);
    const ended = this.#answers.map((answer) => answer.then(() => false));
    return open > 0 && (await Promise.race([...ended, stands]));
  }

  /** Has those that stand answered, and asks anew. @returns as `ask` */
  async again(): Promise<boolean> {
    this.#app.goOn();
    await Promise.all(this.#answers);
    return this.ask();
  }
}
