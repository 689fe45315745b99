import { Admission, FREE, type Place } from './admission.ts';
import type { Runtime } from './runtime.ts';
import { listen, type Listener, type ListenOptions } from './transport/listen.ts';
import type { Connection } from './transport/tcp-connection.ts';

/** By what means a listener accepts, and how many connections it holds; what comes beyond is closed, and counted. */
export interface Listening extends Required<Pick<ListenOptions, 'maxConnections' | 'onDropped' | 'tcp'>> {
  /** Absent: what comes is taken, as long as the process can. */
  admission?: Admission;
}

/** How the listeners of this process accept. */
export function listening({ config, refused, wrap, log, now }: Runtime): Listening {
  const { maxConnections } = config.limits;
  const admission = new Admission({ maxConnections, refused, log, now });
  return { maxConnections, onDropped: admission.dropped, tcp: wrap.tcp, admission };
}

/** Binds a port of the pod. Rejects with an error that names the address. */
export function listenOn(
  host: string,
  port: number,
  onConnection: (connection: Connection, place: Place) => void,
  { admission, ...by }: Listening,
): Promise<Listener> {
  const take: ListenOptions['onConnection'] = (connection, open) => {
    const place = admission === undefined ? FREE : admission.admit(connection, open);
    if (place !== undefined) onConnection(connection, place);
  };
  return new Promise((resolve, reject) => {
    listen({ host, port, onConnection: take, ...by }, (error, listener) => {
      if (listener === undefined) reject(error ?? new Error(`${host}:${port} cannot be bound`));
      else resolve(listener);
    });
  });
}
