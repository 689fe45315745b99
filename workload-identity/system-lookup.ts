import { lookup } from 'node:dns/promises';
import { type Clock, systemClock } from './clock.ts';

/** ms that one name may take. The system's resolver gives up after up to a minute, where several servers and search domains do not answer. */
export const LOOKUP_MS = 5_000;
/**
 * Look-ups at once: as many as the runtime works at (half of its four threads). More would stand in its queue, where
 * none can be taken back or told that it takes too long.
 */
export const LOOKUPS_AT_ONCE = 2;
/** Names that wait for a look-up. Beyond it something asks for names without end. */
export const MAX_WAITING = 256;

/** The system's resolver: all addresses of a name. Cannot be given up, and may take as long as it likes. */
export type Lookup = (host: string) => Promise<string[]>;

interface Asked {
  readonly host: string;
  readonly answer: Promise<string[]>;
  readonly resolve: (addresses: string[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Asks the system's resolver so that it holds nobody up for long: each name once however many ask for it, and an error
 * after `LOOKUP_MS`, also for what has waited for its turn only. What has been given up keeps its thread until the
 * system is done with it.
 */
export class SystemLookup {
  readonly #lookup: Lookup;
  readonly #clock: Clock;
  readonly #asked = new Map<string, Asked>();
  readonly #waiting = new Set<Asked>();
  #running = 0;

  constructor(lookUp: Lookup = askSystem, clock: Clock = systemClock) {
    this.#lookup = lookUp;
    this.#clock = clock;
  }

  /** Rejects with an error that names the name and what is wrong. */
  addresses(host: string): Promise<string[]> {
    const known = this.#asked.get(host);
    if (known !== undefined) return known.answer;
    if (this.#waiting.size >= MAX_WAITING)
      return Promise.reject(new Error(`the name ${host} was not looked up: too many others wait for that`));
    const { promise: answer, resolve, reject } = Promise.withResolvers<string[]>();
    const asked: Asked = { host, answer, resolve, reject };
    const timer = this.#clock.after(LOOKUP_MS, () => {
      this.#waiting.delete(asked);
      reject(
        new Error(`the name ${host} was not resolved within ${LOOKUP_MS} ms: do the name servers answer?`),
      );
    });
    const over = (): void => {
      timer.cancel();
      this.#asked.delete(host);
    };
    answer.then(over, over);
    this.#asked.set(host, asked);
    this.#waiting.add(asked);
    this.#next();
    return answer;
  }

  #next(): void {
    for (const asked of this.#waiting) {
      if (this.#running >= LOOKUPS_AT_ONCE) return;
      this.#waiting.delete(asked);
      void this.#run(asked);
    }
  }

  async #run({ host, resolve, reject }: Asked): Promise<void> {
    this.#running++;
    try {
      resolve(await this.#lookup(host));
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#running--;
      this.#next();
    }
  }
}

async function askSystem(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  return found.map(({ address }) => address);
}
