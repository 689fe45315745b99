import type { X509Certificate } from 'node:crypto';
import type { PeerCertificate, SecureContext, TLSSocket } from 'node:tls';
import type { SpiffeWorkload } from '../api/names.ts';

/** The part of a log that is used here. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Who a workload is: everything its two names are made of. */
export interface WorkloadNames {
  serviceAccount: string;
  namespace: string;
  meshNamespace: string;
  trustDomain: string;
  clusterId: string;
}

/** The verified identity of a peer. */
export interface PeerIdentity {
  /** DNS identity. */
  dnsName: string;
  /** SPIFFE ID with a cluster id in its path, proved by the issuer's certificate. Undefined for Linkerd's leaves. */
  spiffeId: string | undefined;
  /** The parts of `spiffeId`. */
  workload: SpiffeWorkload | undefined;
  /** SHA-256 of the leaf, hex. */
  fingerprint: string;
  /** End of the chain's validity, ms since the epoch. */
  notAfter: number;
}

/** Why a peer was refused. Values are stable: they stand in metrics and conditions. */
export type VerifyReason =
  | 'no-certificate'
  | 'resumed-session'
  | 'not-ready'
  | 'malformed'
  | 'expired'
  | 'not-yet-valid'
  | 'unknown-anchor'
  | 'leaf-is-ca'
  | 'key-usage'
  | 'uri-san-count'
  | 'dns-san-count'
  | 'bad-spiffe-id'
  | 'trust-domain'
  | 'issuer-cluster'
  | 'names-disagree'
  | 'unexpected-identity';

/** A peer's certificate was refused. Returned, not thrown. */
export class VerifyError extends Error {
  readonly reason: VerifyReason;

  constructor(reason: VerifyReason, message: string) {
    super(message);
    this.name = 'VerifyError';
    this.reason = reason;
  }
}

/** The anchors in use. Immutable. */
export interface TrustSnapshot {
  /** Changes with every change of the anchors, in this process only. */
  version: number;
  /** Sequence number of the bundle from the stream; 0n while the anchors come from the file. */
  sequence: bigint;
  anchors: readonly X509Certificate[];
}

/** A leaf with what is needed to use it. The key never leaves the process. */
export interface LeafCertificate {
  /** DER. */
  leaf: Uint8Array;
  /** DER, the leaf's issuer first. */
  intermediates: readonly Uint8Array[];
  /** ms since the epoch; renewal counts from here. */
  issuedAt: number;
  /** ms since the epoch: the end of validity that the issuer told. */
  validUntil: number;
}

/**
 * Where the certificate stands. One writer: the certificate manager.
 * `certified` holds until the leaf's end also when renewals fail (`lastError` tells).
 */
export type IdentityState =
  | { kind: 'waiting'; attempts: number; lastError: string | undefined }
  | { kind: 'certified'; certificate: LeafCertificate; renewAt: number; lastError: string | undefined }
  | { kind: 'expired'; certificate: LeafCertificate; attempts: number; lastError: string | undefined }
  | { kind: 'stopped' };

export interface ServerTlsOptions {
  secureContext: SecureContext;
  isServer: true;
  requestCert: true;
  /** Node only asks OpenSSL here; whom to believe is decided by `verifyPeer`. */
  rejectUnauthorized: boolean;
  ALPNProtocols?: string[];
}

export interface ClientTlsOptions {
  secureContext: SecureContext;
  rejectUnauthorized: true;
  servername?: string;
  ALPNProtocols?: string[];
  /** Runs the whole of `verifyPeer` inside the handshake: `secureConnect` means that the peer is who was expected. */
  checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
}

/** Whom a client wants to meet: each name that is given must match. */
export interface ExpectedPeer {
  dnsName?: string;
  spiffeId?: string;
}

/** One metric value, named as Linkerd's proxy names it. */
export interface IdentityMetric {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  value: number;
}

/** A process's own identity in the mesh. */
export interface WorkloadIdentity {
  /** Resolves at the first certificate; never rejects. */
  readonly ready: Promise<void>;
  readonly state: IdentityState;
  readonly trust: TrustSnapshot | undefined;
  /** Own DNS identity. */
  readonly dnsName: string;
  /** Own SPIFFE ID. */
  readonly spiffeId: string;
  readonly names: WorkloadNames;
  /** Calls back after every change of certificate, state or anchors. Returns the unsubscriber. */
  onChange(listener: () => void): () => void;
  /**
   * TLS options for `new TLSSocket(socket, …)` or `tls.createServer` on the server's side. The same object until the
   * certificate or the anchors change, then a new one: take it per connection. Undefined until ready. A client's
   * certificate is always asked for; with `clientCertificate: 'required'` (default) a handshake without one fails.
   */
  serverOptions(options?: {
    alpn?: readonly string[];
    clientCertificate?: 'required' | 'optional';
  }): ServerTlsOptions | undefined;
  /** TLS options for `tls.connect`; undefined until ready. SNI is `expect.dnsName`. Take it per connection. */
  clientOptions(options: { alpn?: readonly string[]; expect: ExpectedPeer }): ClientTlsOptions | undefined;
  /** Judges the peer of a finished handshake by the anchors and the time of now. Cheap when the leaf was seen before. */
  verifyPeer(socket: TLSSocket): PeerIdentity | VerifyError;
  metrics(): IdentityMetric[];
  /** Renews now; for tests and for a SIGHUP. */
  renew(): void;
  stop(): void;
}
