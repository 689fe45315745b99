import type { ConnectionOptions } from 'node:tls';
import { acceptTls } from './accept-tls.ts';
import { connectPlain, connectTls, type Connected } from './connect.ts';
import { listen, type Listened, type Listener } from './listen.ts';
import { socketOf, type Connection } from './tcp-connection.ts';
import type { Transport, Wrap } from './transport.ts';

/** ms for a loopback exchange that takes a few; a runtime whose handles hang must not hang the start. */
const TIMEOUT_MS = 3_000;

const HOST = '127.0.0.1';

/** Bytes that are sent first: so few the kernel takes at once. */
const FIRST_BYTES = 1024;

/** How the two ends of a loopback connection become what is wrapped, and how much is sent through them. */
interface Kind {
  readonly bytes: number;
  accept(raw: Connection, accepted: Connected<Connection>): void;
  connect(port: number, wrap: Wrap, connected: Connected<Connection>): void;
}

/** Many reads. Of the writes the kernel may take all at once, as its buffers grow: one that is completed later is met by TLS, where each is. */
const PLAIN: Kind = {
  bytes: 1024 * 1024,
  // What is accepted by a handle becomes a socket where TLS comes by it; the other end stays what it is.
  accept: (raw, accepted) => accepted(undefined, socketOf(raw)),
  connect: (port, { tcp }, connected) =>
    void connectPlain({ host: HOST, port, tcp, timeoutMs: TIMEOUT_MS }, connected),
};

/** Many records: what the runtime does above the kernel is what differs here. */
const TLS: Kind = {
  bytes: 192 * 1024,
  accept: (raw, accepted) => acceptTls(raw, { tls: SERVER_TLS, timeoutMs: TIMEOUT_MS }, accepted),
  connect: (port, _wrap, connected) =>
    void connectTls({ host: HOST, port, tls: CLIENT_TLS, timeoutMs: TIMEOUT_MS }, connected),
};

/** A key that both ends know: of loopback's strangers nobody could do more than fail the test, and there need not be a certificate. */
const SHARED_KEY = Buffer.alloc(32, 'isthmus transport self-test ');
/** By TLS 1.3, as the mesh's connections. The suite's hash is the one that shared keys stand for. */
const COMMON = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const;
const SERVER_TLS = { ...COMMON, pskCallback: () => SHARED_KEY };
const CLIENT_TLS: ConnectionOptions = {
  ...COMMON,
  pskCallback: () => ({ psk: SHARED_KEY, identity: 'self-test' }),
  // There is no certificate to look at: who does not know the key does not get this far.
  checkServerIdentity: () => undefined,
};

/** Sends a known pattern through two transports on plain TCP and back. Resolves with what went wrong. */
export function testPlain(wrap: Wrap): Promise<string | undefined> {
  return exchange(wrap, PLAIN);
}

/** The same on TLS. */
export function testTls(wrap: Wrap): Promise<string | undefined> {
  return exchange(wrap, TLS);
}

function exchange(wrap: Wrap, kind: Kind): Promise<string | undefined> {
  return new Promise((resolve) => {
    const connections: Connection[] = [];
    let listening: Listener | undefined;
    const finish = (failure: string | undefined): void => {
      clearTimeout(timeout);
      for (const connection of connections) connection.destroy();
      listening?.close();
      resolve(failure);
    };
    const timeout = setTimeout(() => finish('it did not answer'), TIMEOUT_MS);
    const careful = (act: () => void): void => {
      try {
        act();
      } catch (thrown) {
        finish(String(thrown));
      }
    };
    const use =
      (run: (transport: Transport) => void): Connected<Connection> =>
      (error, connection) => {
        if (connection === undefined) return finish(error?.message);
        connections.push(connection);
        careful(() => run(wrap(connection)));
      };
    const onConnection = (connection: Connection): void => {
      connections.push(connection);
      careful(() => kind.accept(connection, use(echo)));
    };
    const connect: Listened = (error, listener) => {
      if (listener === undefined) return finish(error?.message);
      listening = listener;
      const connected = use((transport) => sendPattern(transport, kind.bytes, finish));
      careful(() => kind.connect(listener.port, wrap, connected));
    };
    careful(() => listen({ host: HOST, port: 0, tcp: wrap.tcp, onConnection }, connect));
  });
}

function echo(transport: Transport): void {
  transport.handler = {
    onData: (buffer, start, end) => {
      if (!transport.write(buffer, start, end)) transport.pause();
    },
    onDrain: () => transport.resume(),
    onEnd: () => transport.end(),
    onClose: () => undefined,
  };
}

function sendPattern(
  transport: Transport,
  bytes: number,
  finish: (failure: string | undefined) => void,
): void {
  const pattern = Buffer.alloc(bytes, 'isthmus transport self-test ');
  let received = 0;
  let asked = false;
  let done = false;
  const once = (failure: string | undefined): void => {
    if (!done) finish(failure);
    done = true;
  };
  // When the first bytes are back: their write is over by then, and that has to be known.
  const rest = (): void => {
    asked = true;
    transport.write(pattern, FIRST_BYTES, bytes);
    transport.end();
  };
  transport.handler = {
    onData: (buffer, start, end) => {
      if (buffer.compare(pattern, received, received + end - start, start, end) !== 0)
        once('bytes came back changed');
      received += end - start;
      if (!asked) rest();
    },
    onDrain: () => undefined,
    onEnd: () => once(received === pattern.length ? undefined : 'bytes were lost'),
    onClose: () => once('the connection closed'),
  };
  transport.write(pattern, 0, FIRST_BYTES);
  // Here and now, where who calls us is ready for whatever is thrown.
  transport.flush();
}
