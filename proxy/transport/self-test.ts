import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { acceptTls } from './accept-tls.ts';
import { connectTls } from './connect.ts';
import { bind } from './listen.ts';
import type { Transport, Wrap } from './transport.ts';

/** ms for a loopback exchange that takes a few; a runtime whose handles hang must not hang the start. */
const TIMEOUT_MS = 3_000;

const HOST = '127.0.0.1';

/** How the two ends of a loopback connection become what is wrapped, and how much is sent through them. */
interface Kind {
  readonly bytes: number;
  accept(raw: Socket, accepted: (error: Error | undefined, socket: Socket | undefined) => void): void;
  connect(port: number, connected: (error: Error | undefined, socket: Socket | undefined) => void): void;
}

/** Larger than a socket buffer's default, so that partial and asynchronous writes are met. */
const PLAIN: Kind = {
  bytes: 1024 * 1024,
  accept: (raw, accepted) => accepted(undefined, raw),
  connect(port, connected) {
    const socket = connect({ host: HOST, port, allowHalfOpen: true });
    socket.once('error', (error) => connected(error, undefined));
    socket.once('connect', () => connected(undefined, socket));
  },
};

/** Many records: what the runtime does above the kernel is what differs here. */
const TLS: Kind = {
  bytes: 192 * 1024,
  accept: (raw, accepted) => acceptTls(raw, { tls: SERVER_TLS, timeoutMs: TIMEOUT_MS }, accepted),
  connect: (port, connected) =>
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
    const sockets: Socket[] = [];
    const finish = (failure: string | undefined): void => {
      clearTimeout(timeout);
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve(failure));
    };
    const timeout = setTimeout(() => finish('it did not answer'), TIMEOUT_MS);
    const use =
      (run: (transport: Transport) => void) =>
      (error: Error | undefined, socket: Socket | undefined): void => {
        if (socket === undefined) return finish(error?.message);
        sockets.push(socket);
        try {
          run(wrap(socket));
        } catch (thrown) {
          finish(String(thrown));
        }
      };
    const server = createServer({ allowHalfOpen: true }, (raw) => {
      sockets.push(raw);
      kind.accept(raw, use(echo));
    });
    server.once('error', (error) => finish(error.message));
    server.listen(bind(HOST, 0), () => {
      const { port } = server.address() as AddressInfo;
      kind.connect(
        port,
        use((transport) => sendPattern(transport, kind.bytes, finish)),
      );
    });
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
  let done = false;
  const once = (failure: string | undefined): void => {
    if (!done) finish(failure);
    done = true;
  };
  transport.handler = {
    onData: (buffer, start, end) => {
      if (buffer.compare(pattern, received, received + end - start, start, end) !== 0)
        once('bytes came back changed');
      received += end - start;
    },
    onDrain: () => undefined,
    onEnd: () => once(received === pattern.length ? undefined : 'bytes were lost'),
    onClose: () => once('the connection closed'),
  };
  transport.write(pattern, 0, pattern.length);
  transport.end();
}
