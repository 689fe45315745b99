import type { WorkloadIdentity } from '../../workload-identity/index.ts';
import { StandingRequests } from './standing-requests.ts';
import { chooseTransport } from '../transport/choose.ts';
import { WarmUpApp, WarmUpClient } from './warm-up-ends.ts';

/** Requests after which the compilers have seen the usual way often enough. More would gain little and cost the pod's start. */
const REQUESTS = 2_000;
/** Under way at once: the more there are, the more go out in one write, and the less the kernel's part of each costs. */
const CONNECTIONS = 32;
/**
 * ms that a warm-up has at most. Others learn of a new endpoint some time after its readiness; by then it has to be
 * over, with all that it gave the compilers to do: real requests that come into it queue behind it for longer than it
 * would have saved them.
 */
const MAX_MS = 700;
/** ms without end: then something hangs. */
const GIVE_UP_MS = 30_000;
/** Requests that stay: one of each kind that it has. */
const STANDING = 4;

/** Where all of a warm-up listens. */
export const WARM_UP_HOST = '127.0.0.1';
/** What its client asks for. */
export const WARM_UP_SERVICE = { name: 'warm-up', namespace: 'isthmus', port: 80 } as const;

/** How much a warm-up is, what comes first. On the slowest machine it is one request: an image's rehearsal has then seen the whole way. */
export interface WarmUpLimits {
  requests: number;
  ms: number;
}

/** What stands between the client of a warm-up and its app. */
export interface WarmUpWay {
  /** Where requests come in. */
  readonly port: number;
  /** Lets nobody else in. */
  stopListening(): void;
  /** Resolves when all of it is closed. */
  drain(): Promise<void>;
}

/** Makes it. @param appPort where requests come out */
export type MakeWarmUpWay = (appPort: number) => Promise<WarmUpWay>;

/** What a warm-up has done, and what stays of it. */
export interface WarmedUp {
  /** Requests that were answered. */
  readonly answered: number;
  /**
   * The requests that stand are answered, and asked anew: what they hold is as the code of now makes it.
   * @returns whether they stand again: not, for good, once the connection between the two sides of the second proxy has
   * ended, as by its age
   */
  readonly again: () => Promise<boolean>;
  /** Ends what stays. */
  readonly end: () => Promise<void>;
}

/**
 * Sends requests through a second proxy of this process, out and in again over mutual TLS on the loopback interface, so
 * that the code is compiled when the first real request comes. Ends early when `busy` says that there is real work.
 * Rejects when the way cannot be had, which hurts nobody.
 *
 * Its last requests stand still for good: what V8 has compiled refers weakly to the shapes of the objects it works on,
 * and with the last connection or request of a shape the next collection would throw the shape away, and the code with
 * it. Nobody can connect to what stays.
 * @returns undefined where there was real work already
 */
export async function warmUp(
  makeWay: MakeWarmUpWay,
  identity: WorkloadIdentity,
  busy: () => boolean,
  { requests, ms }: WarmUpLimits = { requests: REQUESTS, ms: MAX_MS },
): Promise<WarmedUp | undefined> {
  await identity.ready;
  if (busy()) return undefined;
  const until = performance.now() + ms;
  const { wrap } = await chooseTransport();
  const { name, namespace, port } = WARM_UP_SERVICE;
  const app = await WarmUpApp.start(wrap, WARM_UP_HOST, 2 * CONNECTIONS);
  const more = (done: number): boolean => done < requests && performance.now() < until && !busy();
  const client = new WarmUpClient(wrap, `${name}.${namespace}:${port}`, more, STANDING);
  const stop = (): void => {
    client.stop();
    app.stop();
  };
  try {
    const way = await makeWay(app.port);
    const timer = setTimeout(stop, GIVE_UP_MS);
    const answered = await client.run(WARM_UP_HOST, way.port, CONNECTIONS);
    const standing = new StandingRequests(client, app);
    await standing.ask();
    clearTimeout(timer);
    app.stopListening();
    way.stopListening();
    return {
      answered,
      again: () => standing.again(),
      end() {
        stop();
        return way.drain();
      },
    };
  } catch (error) {
    stop();
    throw error;
  }
}
