import { Agent, request } from 'node:http';
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { port } from '../../api/names.ts';

/** What became of the requests of a load. */
export interface Counts {
  sent: number;
  answered: number;
  /** Sent once more, since the kept connection that they were sent on had been closed: what every client does (RFC 9112 section 9.3.1). */
  reopened: number;
  readonly failed: string[];
}

/** A client that asks without end, as apps do. */
export interface Load {
  readonly counts: Counts;
  /** Resolves when that many more requests have been answered. */
  more(n: number): Promise<void>;
  /** Resolves when the requests under way have ended. */
  stop(): Promise<void>;
}

export type AskOnce = (counts: Counts, i: number) => Promise<void>;

/** Runs `clients` loops of `ask`; `pauseMs` between two requests of one. */
export function startLoad(clients: number, ask: AskOnce, close: () => void, pauseMs = 0): Load {
  const counts: Counts = { sent: 0, answered: 0, reopened: 0, failed: [] };
  const stopped = new AbortController();
  let waiting: { at: number; resolve: () => void }[] = [];
  const loop = async (i: number): Promise<void> => {
    while (!stopped.signal.aborted) {
      counts.sent++;
      try {
        await ask(counts, i);
        counts.answered++;
      } catch (error) {
        counts.failed.push(String(error));
      }
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const done = counts.answered + counts.failed.length;
      for (const { at, resolve } of waiting) if (done >= at) resolve();
      waiting = waiting.filter(({ at }) => done < at);
    }
  };
  const loops = Array.from({ length: clients }, (_, i) => loop(i));
  return {
    counts,
    more: (n) =>
      new Promise((resolve) => waiting.push({ at: counts.answered + counts.failed.length + n, resolve })),
    async stop() {
      stopped.abort();
      await Promise.all(loops);
      close();
    },
  };
}

/** HTTP/1.1 on kept connections. `sidecar` is asked for each new one. Every fourth request has a body where `posts`. */
export function http1Load(
  sidecar: () => string,
  url: string,
  clients: number,
  posts: boolean,
  pauseMs = 0,
): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const once = (body: string): Promise<'closed' | undefined> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: sidecar(),
          port: port.outbound,
          path: url,
          agent,
          method: body === '' ? 'GET' : 'POST',
          headers: { host: new URL(url).host },
        },
        (incoming) => {
          const { statusCode } = incoming;
          incoming.on('error', reject);
          incoming.on('end', () =>
            statusCode === 200
              ? resolve(undefined)
              : reject(new Error(`${statusCode} ${String(incoming.headers['l5d-proxy-error'])}`)),
          );
          incoming.resume();
        },
      );
      outgoing.on('error', (error) =>
        outgoing.reusedSocket && body === '' ? resolve('closed') : reject(error),
      );
      outgoing.end(body);
    });
  let n = 0;
  return startLoad(
    clients,
    async (counts) => {
      const body = posts && n++ % 4 === 0 ? 'a body of some length' : '';
      while ((await once(body)) === 'closed') counts.reopened++;
    },
    () => agent.destroy(),
    pauseMs,
  );
}

/** One request. Rejects unless it is answered with 200 or refused unprocessed. */
function ask(
  session: ClientHttp2Session,
  authority: string,
  posts: boolean,
): Promise<'answered' | 'refused'> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ':authority': authority, ':path': '/', ':method': posts ? 'POST' : 'GET' },
      { endStream: !posts },
    );
    let status = 0;
    let cause = '';
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
      cause = String(headers['l5d-proxy-error']);
    });
    stream.on('error', (error) => {
      if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) resolve('refused');
      else reject(error);
    });
    stream.on('close', () => {
      if (status === 200) resolve('answered');
      else reject(new Error(`${status} ${cause}`));
    });
    stream.resume();
    if (posts) stream.end('a body');
  });
}

/** HTTP/2, a connection a client, which is opened again where the server has said GOAWAY. Every fourth request has a body. */
export function http2Load(sidecar: () => string, authority: string, clients: number, pauseMs = 0): Load {
  const sessions: (ClientHttp2Session | undefined)[] = [];
  const sessionOf = (i: number): ClientHttp2Session => {
    const known = sessions[i];
    if (known !== undefined) return known;
    const made = connect(`http://${sidecar()}:${port.outbound}`);
    const forget = (): void => {
      if (sessions[i] === made) sessions[i] = undefined;
    };
    made.on('goaway', forget);
    made.on('close', forget);
    made.on('error', forget);
    sessions[i] = made;
    return made;
  };
  let n = 0;
  return startLoad(
    clients,
    async (_counts, i) => {
      const posts = n++ % 4 === 0;
      // RFC 9113 section 8.7: what was refused was not processed, and clients send it again. A stream may have been on its way when GOAWAY was.
      while ((await ask(sessionOf(i), authority, posts)) === 'refused') sessions[i] = undefined;
    },
    () => {
      for (const session of sessions) session?.close();
    },
    pauseMs,
  );
}
