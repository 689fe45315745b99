import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Log } from '../kubernetes/log.ts';
import { type PeerIdentity, VerifyError, type WorkloadIdentity } from '../workload-identity/index.ts';
import type { Places, Served } from './places.ts';

/** Milliseconds that a client may take for its handshake; a slow link needs a few round trips. */
const HANDSHAKE_MS = 10_000;
/**
 * Connections of one port. A proxy holds one or two; 4,096 are a cluster of thousands of pods to one replica, at about 50 KiB each.
 */
const MAX_CONNECTIONS = 4_096;
/** HTTP/2; offered to clients that ask by ALPN. Linkerd's proxy does not ask. */
const ALPN = 'h2';

/** A connection whose handshake is over. */
export interface SecureConnection {
  socket: TLSSocket;
  /** Undefined: the client showed no certificate. One that showed a wrong one never comes this far. */
  peer: PeerIdentity | undefined;
}

export interface TlsListener {
  readonly port: number;
  /** Takes no more connections. Those that stand are the taker's. */
  close(): Promise<void>;
}

/**
 * Listens for mesh TLS. Certificate and trust are taken anew for each connection, so that both change without a restart. Clients may come without a
 * certificate (the first one has to be asked for, and a proxy opens its streams before it has one): services decide whom they answer.
 * Rejects, naming the address, when it can't be bound.
 */
export async function listenTls(options: {
  host: string;
  port: number;
  service: Served;
  places: Pick<Places, 'take' | 'leave' | 'refuse'>;
  identity: Pick<WorkloadIdentity, 'serverOptions' | 'verifyPeer'>;
  log: Log;
  onConnection: (connection: SecureConnection) => void;
}): Promise<TlsListener> {
  const { host, port, service, places, identity, log, onConnection } = options;
  const handshakes = new Set<Socket>();
  const server = createServer({ keepAlive: true, noDelay: true }, (raw) => {
    if (!places.take(service)) {
      raw.destroy();
      return;
    }
    handshakes.add(raw);
    raw.once('close', () => {
      handshakes.delete(raw);
      places.leave();
    });
    shakeHands(raw, identity, log, (connection) => {
      handshakes.delete(raw);
      onConnection(connection);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on('drop', () => places.refuse(service, 'too-many-connections'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new Error(`can not listen on ${host}:${port}: ${cause.message}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of handshakes) socket.destroy();
      }),
  };
}

function shakeHands(
  raw: Socket,
  identity: Pick<WorkloadIdentity, 'serverOptions' | 'verifyPeer'>,
  log: Log,
  done: (connection: SecureConnection) => void,
): void {
  const refuse = (fields: object, message: string): void => {
    log.debug({ client: raw.remoteAddress, ...fields }, message);
    raw.destroy();
  };
  raw.on('error', (error) => refuse({ error: error.message }, 'a connection broke'));
  const tls = identity.serverOptions({ alpn: [ALPN], clientCertificate: 'optional' });
  if (tls === undefined) return refuse({}, 'a connection came before the certificate');
  const socket = new TLSSocket(raw, tls);
  const deadline = setTimeout(() => refuse({}, 'a handshake took too long'), HANDSHAKE_MS);
  socket.once('close', () => clearTimeout(deadline));
  socket.on('error', (error) => refuse({ error: error.message }, 'a TLS connection failed'));
  socket.once('secure', () => {
    clearTimeout(deadline);
    const peer = identity.verifyPeer(socket);
    if (peer instanceof VerifyError && peer.reason !== 'no-certificate') {
      return refuse({ reason: peer.reason, error: peer.message }, "a client's certificate was refused");
    }
    done({ socket, peer: peer instanceof VerifyError ? undefined : peer });
  });
}
