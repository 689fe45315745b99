import { connect as connectHttp2, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { alpn } from '../api/names.ts';
import { VerifyError } from '../workload-identity/index.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';

/** What a probe shows of the trust between the clusters. */
export type TrustVerdict = 'shared' | 'refused' | 'unknown';

/** Outcome of one probe. */
export type ProbeResult =
  | { kind: 'alive'; latencyMs: number }
  | { kind: 'failed'; reason: string; message: string; trust: TrustVerdict };

/** The gateway that is probed. */
export interface ProbeTarget {
  /** IP. */
  address: string;
  port: number;
  path: string;
  timeoutMs: number;
  /** SPIFFE ID that the gateway must show. */
  expected: string;
}

/** Probes one gateway address. Never rejects. */
export type Probe = (target: ProbeTarget) => Promise<ProbeResult>;

/**
 * The probe that goes the way of the data: mutual TLS with the ALPN of our proxies, verified peer, then `GET` by HTTP/2 (a stream without
 * port and target is for the gateway itself). Only an answer with 200 counts: in TLS 1.3 a client is connected before the server has
 * judged its certificate.
 */
export function createProbe(identity: WorkloadIdentity): Probe {
  return async (target) => {
    const options = identity.clientOptions({ alpn: [alpn.isthmus], expect: { spiffeId: target.expected } });
    if (options === undefined) {
      return failed('NoIdentity', 'this controller has no certificate yet', 'unknown');
    }
    const started = performance.now();
    const socket = connectTls({ host: target.address, port: target.port, ...options });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<ProbeResult>((resolve) => {
      timer = setTimeout(() => {
        resolve(failed('Timeout', `no answer from ${name(target)} within ${target.timeoutMs} ms`, 'unknown'));
      }, target.timeoutMs);
    });
    try {
      return await Promise.race([exchange(socket, target, started), late]);
    } finally {
      clearTimeout(timer);
      socket.destroy();
    }
  };
}

async function exchange(socket: TLSSocket, target: ProbeTarget, started: number): Promise<ProbeResult> {
  const handshake = await settled(socket, target);
  if (handshake !== undefined) return handshake;
  if (socket.alpnProtocol !== alpn.isthmus) {
    return failed(
      'WrongProtocol',
      `${name(target)} does not speak ${alpn.isthmus}: is it a gateway of Isthmus?`,
      'shared',
    );
  }
  try {
    const status = await get(socket, target.path);
    if (status === 200) return { kind: 'alive', latencyMs: performance.now() - started };
    return failed('NotReady', `${name(target)} answered ${status} on ${target.path}`, 'shared');
  } catch (error) {
    return afterHandshake(error, target);
  }
}

/** The failure of the handshake; undefined when it succeeded. */
function settled(socket: TLSSocket, target: ProbeTarget): Promise<ProbeResult | undefined> {
  return new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(undefined));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(beforeSecure(error, target)));
    socket.once('close', () => {
      resolve(
        failed('ConnectionFailed', `${name(target)} closed the connection during the handshake`, 'unknown'),
      );
    });
  });
}

async function get(socket: TLSSocket, path: string): Promise<number> {
  const session = connectHttp2('https://gateway', { createConnection: () => socket });
  try {
    return await status(session, path);
  } finally {
    session.destroy();
  }
}

function status(session: ClientHttp2Session, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    session.on('error', reject);
    const stream = session.request({ [constants.HTTP2_HEADER_PATH]: path });
    stream.on('error', reject);
    stream.once('response', (headers) => resolve(headers[':status'] ?? 0));
    stream.once('close', () => reject(new Error('the connection was closed without an answer')));
    stream.end();
    stream.resume();
  });
}

const UNKNOWN_ANCHOR = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);

function beforeSecure(error: NodeJS.ErrnoException, target: ProbeTarget): ProbeResult {
  const code = error.code ?? '';
  if (error instanceof VerifyError) {
    const reason = error.reason === 'unknown-anchor' ? 'UnknownAnchor' : 'PeerRefused';
    return failed(reason, `${name(target)}: ${error.message}`, 'refused');
  }
  if (UNKNOWN_ANCHOR.has(code)) {
    return failed(
      'UnknownAnchor',
      `the certificate of ${name(target)} leads to no trust anchor of this cluster`,
      'refused',
    );
  }
  if (/^(ERR_TLS|CERT_|INVALID_|PATH_LENGTH|HOSTNAME_)/.test(code))
    return failed('PeerRefused', `${name(target)}: ${error.message}`, 'refused');
  if (isAlert(error)) return refusedByPeer(target);
  return failed('ConnectionFailed', `${name(target)}: ${error.message}`, 'unknown');
}

/** A server judges a client's certificate after the handshake, and may just close: that is a hint, no proof. */
function afterHandshake(error: unknown, target: ProbeTarget): ProbeResult {
  if (isAlert(error)) return refusedByPeer(target);
  const message = `${name(target)} closed the connection after the handshake: it is stopping, or does not accept this cluster's certificate`;
  return failed('ClosedAfterHandshake', message, 'unknown');
}

/** TLS alerts by which a server refuses a client's certificate (RFC 8446 6.2). */
function isAlert(error: unknown): boolean {
  return (
    error instanceof Error &&
    /alert (bad certificate|unknown ca|certificate|access denied)/i.test(error.message)
  );
}

function refusedByPeer(target: ProbeTarget): ProbeResult {
  return failed(
    'CertificateRefused',
    `${name(target)} refused this cluster's certificate: are its trust anchors the same?`,
    'refused',
  );
}

function failed(reason: string, message: string, trust: TrustVerdict): ProbeResult {
  return { kind: 'failed', reason, message, trust };
}

function name(target: ProbeTarget): string {
  return `gateway ${target.address.includes(':') ? `[${target.address}]` : target.address}:${target.port}`;
}
