import type { Http2Connection } from '../http2/connection.ts';

/**
 * Of connections that can end without anybody's loss the one whose peer was heard longest ago: no stream is under way, the peer has shown that it speaks, and it has not been told to go.
 * Undefined: there is none. PINGs let idle peers be heard every ten seconds, so that it is one that was not used for as long, if there is one.
 */
export function quietest<C extends Pick<Http2Connection, 'activeStreams' | 'draining' | 'heardAt' | 'ready'>>(
  connections: Iterable<C>,
): C | undefined {
  let found: C | undefined;
  for (const connection of connections) {
    if (connection.activeStreams > 0 || connection.draining || !connection.ready) continue;
    if (found === undefined || connection.heardAt < found.heardAt) found = connection;
  }
  return found;
}
