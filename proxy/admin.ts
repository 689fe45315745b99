import { adminAnswer, type AdminAnswers } from './admin-answers.ts';
import { AdminExchange } from './admin-exchange.ts';
import { Http1ServerConnection } from './http1/server-connection.ts';
import { listen, type Listener } from './transport/listen.ts';
import type { TimerWheel } from './transport/timers.ts';
import type { Transport, Wrap } from './transport/transport.ts';

/** Connections to the admin port at once: kubelets, scrapers and people have a few. More would be at the cost of the apps' descriptors. */
const MAX_CONNECTIONS = 1_000;

export interface AdminOptions extends AdminAnswers {
  /** `::` takes all addresses of both families, of IPv4 alone where the kernel has nothing else. */
  host: string;
  port: number;
  wrap: Wrap;
  timers: TimerWheel;
}

/** A running admin server. */
export interface Admin {
  readonly port: number;
  close(): void;
}

/**
 * The admin server: `/live`, `/ready`, `/metrics`, `/env.json`, and `POST /shutdown` over loopback. It speaks HTTP/1 by the data plane's own codec: the runtime's would be loaded for it alone, in
 * the midst of a start. Rejects with an error that names the address when it cannot be bound.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const open = new Set<Transport>();
  const listener = await listening(options, open);
  return {
    port: listener.port,
    close() {
      listener.close();
      for (const transport of open) transport.destroy();
    },
  };
}

function listening(options: AdminOptions, open: Set<Transport>): Promise<Listener> {
  const { host, port, wrap, timers } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Listener>();
  const by = {
    host,
    port,
    bothFamilies: host === '::',
    maxConnections: MAX_CONNECTIONS,
    tcp: wrap.tcp,
  };
  const listened = (error: Error | undefined, listener: Listener | undefined): void => {
    if (listener !== undefined) return resolve(listener);
    reject(new Error(`the admin port ${host}:${port} cannot be opened: ${error?.message}`, { cause: error }));
  };
  listen(
    {
      ...by,
      onConnection(connection) {
        const { remoteAddress } = connection;
        const transport = wrap(connection);
        open.add(transport);
        const exchange = new AdminExchange((method, path) =>
          adminAnswer(method, path, remoteAddress, options),
        );
        transport.handler = new Http1ServerConnection(transport, {
          timers,
          route: () => exchange,
          onClose: () => void open.delete(transport),
        });
      },
    },
    listened,
  );
  return promise;
}
