import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { acceptTls } from '../transport/accept-tls.ts';
import { connectPlain, connectTls, type Connected } from '../transport/connect.ts';
import { listen, type Listener, type ListenOptions } from '../transport/listen.ts';
import { socketOf, type Connection } from '../transport/tcp-connection.ts';
import type { Transport, TransportHandler, Wrap } from '../transport/transport.ts';
import type { TestCertificates } from './certificates.ts';

/** ms; generous, since tests share the machine. */
const TIMEOUT_MS = 20_000;

/** Listens on a free loopback port, for sockets. */
export function listenLoopback(onConnection: (socket: Socket) => void): Promise<Listener> {
  return listening({ onConnection: (connection) => onConnection(socketOf(connection)) });
}

/** Listens on a free loopback port, for what `wrap` makes of connections. */
export function listenTransports(wrap: Wrap, onTransport: (transport: Transport) => void): Promise<Listener> {
  return listening({ tcp: wrap.tcp, onConnection: (connection) => onTransport(wrap(connection)) });
}

function listening(options: Pick<ListenOptions, 'tcp' | 'onConnection'>): Promise<Listener> {
  return new Promise((resolve, reject) => {
    listen({ host: '127.0.0.1', port: 0, ...options }, (error, listener) => {
      if (listener === undefined) reject(error ?? new Error('no listener'));
      else resolve(listener);
    });
  });
}

/** Transports of a connected pair, wrapped as soon as each side is there, with recorders as handlers. */
export async function transportPair(
  wrap: Wrap,
  certificates?: TestCertificates,
  alpn: readonly string[] = ['test'],
): Promise<{ client: Transport; server: Transport }> {
  const client = Promise.withResolvers<Transport>();
  const server = Promise.withResolvers<Transport>();
  const settle =
    (side: typeof client): Connected<Connection> =>
    (error, connection) => {
      if (connection === undefined) {
        side.reject(error ?? new Error('no connection'));
        return;
      }
      const transport = wrap(connection);
      transport.handler = new Recorder();
      side.resolve(transport);
    };
  const { tcp } = wrap;
  const onConnection = (connection: Connection): void => {
    if (certificates === undefined) settle(server)(undefined, connection);
    else acceptTls(connection, { tls: serverTls(certificates, alpn), timeoutMs: TIMEOUT_MS }, settle(server));
  };
  const listener = await listening({ tcp, onConnection });
  const options = { host: listener.host, port: listener.port, timeoutMs: TIMEOUT_MS, tcp };
  if (certificates === undefined) connectPlain(options, settle(client));
  else connectTls({ ...options, tls: clientTls(certificates, alpn) }, settle(client));
  const [c, s] = await Promise.all([client.promise, server.promise]);
  listener.close();
  return { client: c, server: s };
}

/** TLS options of a server that demands a certificate of the same authority. */
function serverTls(c: TestCertificates, alpn: readonly string[]) {
  return {
    secureContext: createSecureContext(c),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [...alpn],
  };
}

/** TLS options of a client with that identity. */
function clientTls(c: TestCertificates, alpn: readonly string[]) {
  return {
    secureContext: createSecureContext(c),
    rejectUnauthorized: true,
    checkServerIdentity: () => undefined,
    ALPNProtocols: [...alpn],
  };
}

/** A handler that keeps what comes, and lets a test wait for it. */
export class Recorder implements TransportHandler {
  #chunks: Buffer[] = [];
  length = 0;
  drains = 0;
  ended = false;
  closed = false;
  #waiting: { done: () => boolean; resolve: () => void }[] = [];

  onData(buffer: Buffer, start: number, end: number): void {
    this.#chunks.push(Buffer.from(buffer.subarray(start, end)));
    this.length += end - start;
    this.#check();
  }
  onDrain(): void {
    this.drains++;
    this.#check();
  }
  onEnd(): void {
    this.ended = true;
    this.#check();
  }
  onClose(): void {
    this.closed = true;
    this.#check();
  }

  bytes(): Buffer {
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  /** Resolves when the condition holds (now or after a coming event). */
  until(done: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ done, resolve });
      this.#check();
    });
  }

  #check(): void {
    this.#waiting = this.#waiting.filter((w) => {
      if (!w.done()) return true;
      w.resolve();
      return false;
    });
  }
}

/** The recorder of a transport made by `transportPair`. */
export function recorder(transport: Transport): Recorder {
  if (!(transport.handler instanceof Recorder)) throw new Error('the transport has another handler');
  return transport.handler;
}
