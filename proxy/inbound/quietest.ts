import type { Http2Connection } from '../http2/connection.ts';

/**
 * So many are remembered of a look: a storm of newcomers at a full gateway would otherwise go through all of some
 * 10,000 connections, 0.3 ms, for each of them. A look that finds nobody is not remembered: where all are busy each
 * newcomer costs one, beside its handshake. Any of them may become idle the moment after, and a newcomer that is judged
 * by the look before would be turned away from a place that is there.
 */
const REMEMBERED = 64;

type Candidate = Pick<Http2Connection, 'activeStreams' | 'draining' | 'heardAt' | 'ready'>;

interface Found<C> {
  readonly connection: C;
  /** As it was when it was found: heard of since, it is no longer one of the quietest. */
  readonly heardAt: number;
}

/**
 * Finds, of connections that can end without anybody's loss, the one whose peer was heard longest ago: no stream is
 * under way, the peer has shown that it speaks, and it has not been told to go. PINGs let idle peers be heard every ten
 * seconds, so that it is one that was not used for as long, if there is one.
 */
export class Quietest<C extends Candidate> {
  readonly #connections: ReadonlySet<C>;
  /** By when they were heard, the quietest last. */
  #found: Found<C>[] = [];

  /** @param connections those that are open, whenever it is asked; `forget` is told of each that closes */
  constructor(connections: ReadonlySet<C>) {
    this.#connections = connections;
  }

  /** The next one, which the caller then tells to go; undefined: there is none. */
  next(): C | undefined {
    const remembered = this.#remembered();
    if (remembered !== undefined) return remembered;
    this.#found = quietestOf(this.#connections);
    return this.#remembered();
  }

  /** The connection has closed: it is kept no longer. */
  forget(connection: C): void {
    const at = this.#found.findIndex((found) => found.connection === connection);
    if (at >= 0) this.#found.splice(at, 1);
  }

  #remembered(): C | undefined {
    for (let last = this.#found.pop(); last !== undefined; last = this.#found.pop()) {
      const { connection, heardAt } = last;
      if (connection.heardAt === heardAt && isIdle(connection)) return connection;
    }
    return undefined;
  }
}

function isIdle({ activeStreams, draining, ready }: Candidate): boolean {
  return activeStreams === 0 && !draining && ready;
}

function quietestOf<C extends Candidate>(connections: Iterable<C>): Found<C>[] {
  const found: Found<C>[] = [];
  for (const connection of connections) {
    if (!isIdle(connection)) continue;
    const { heardAt } = connection;
    const full = found.length === REMEMBERED;
    if (full && heardAt >= (found[0]?.heardAt ?? 0)) continue;
    if (full) found.shift();
    const at = found.findIndex((other) => other.heardAt <= heardAt);
    found.splice(at < 0 ? found.length : at, 0, { connection, heardAt });
  }
  return found;
}
