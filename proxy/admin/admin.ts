import { adminAnswer, type AdminAnswers, isInside } from './admin-answers.ts';
import { AdminExchange } from './admin-exchange.ts';
import { descriptorLimit } from '../../log/index.ts';
import { Http1ServerConnection } from '../http1/server-connection.ts';
import { listen, type Listener } from '../transport/listen.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, Wrap } from '../transport/transport.ts';

/**
 * Connections to the admin port at once: kubelets, scrapers and people have a few. Whoever comes beyond takes the place
 * of the oldest on which nobody waits for an answer: a crowd that says nothing must not keep a probe from its own.
 */
const MAX_CONNECTIONS = 1_000;
/** Nor at the cost of the apps: of the process's descriptors they have this share at most. */
const DESCRIPTOR_SHARE = 1 / 16;
/** However few that is: a kubelet, a scraper and a person at once. */
const LEAST_CONNECTIONS = 4;

/** All addresses of both families, where the kernel has both. */
const ANY_ADDRESS = '::';

/**
 * Where the admin port of a pod listens: everywhere, since a pod with a network namespace of its own has its loopback
 * address for itself, where its containers and `kubectl port-forward` ask. Pods of an embedded cluster share the
 * machine's, and have their own address of it alone.
 */
export function adminHost(podAddress: string): string {
  return isInside(podAddress) ? podAddress : ANY_ADDRESS;
}

export interface AdminOptions extends AdminAnswers {
  /** `::` takes all addresses of both families, of IPv4 alone where the kernel has nothing else. */
  host: string;
  port: number;
  wrap: Wrap;
  timers: TimerWheel;
  /** Connections at once. Default 1,000, or a sixteenth of the process's descriptors where these are fewer. */
  maxConnections?: number;
}

/** Connections by age. */
type Open = Map<Transport, Http1ServerConnection>;

/** A running admin server. */
export interface Admin {
  readonly port: number;
  close(): void;
}

/**
 * The admin server: `/live`, `/ready`, `/metrics`, `/env.json`, and over loopback `/proxy-log-level` and
 * `POST /shutdown`. It speaks HTTP/1 by the data plane's own codec: the runtime's would be loaded for it alone, in the
 * midst of a start. Rejects with an error that names the address when it cannot be bound.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const open: Open = new Map();
  const listener = await listening(options, open);
  return {
    port: listener.port,
    close() {
      listener.close();
      for (const transport of open.keys()) transport.destroy();
    },
  };
}

function listening(options: AdminOptions, open: Open): Promise<Listener> {
  const { host, port, wrap, timers } = options;
  let { maxConnections } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Listener>();
  const listened = (error: Error | undefined, listener: Listener | undefined): void => {
    if (listener !== undefined) return resolve(listener);
    reject(new Error(`the admin port ${host}:${port} cannot be opened: ${error?.message}`, { cause: error }));
  };
  listen(
    {
      host,
      port,
      bothFamilies: host === '::',
      tcp: wrap.tcp,
      onConnection(connection) {
        const { remoteAddress } = connection;
        maxConnections ??= mostConnections(descriptorLimit());
        if (open.size >= maxConnections) makeRoom(open);
        const transport = wrap(connection);
        const exchange = new AdminExchange((request) => adminAnswer(request, remoteAddress, options));
        const http1 = new Http1ServerConnection(transport, {
          timers,
          route: () => exchange,
          onClose: () => void open.delete(transport),
        });
        open.set(transport, http1);
      },
    },
    listened,
  );
  return promise;
}

function mostConnections(descriptors: number): number {
  return Math.min(MAX_CONNECTIONS, Math.max(LEAST_CONNECTIONS, Math.floor(descriptors * DESCRIPTOR_SHARE)));
}

/** Closes the oldest connection on which nobody waits for an answer, else the oldest. */
function makeRoom(open: Open): void {
  const [oldest] = open.keys();
  const [quiet = oldest] = open.entries().find(([, http1]) => http1.idle) ?? [];
  if (quiet === undefined) return;
  open.delete(quiet);
  quiet.destroy();
}
