import { generateKeyPairSync } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { component, dnsIdentity, spiffeId as formatSpiffeId } from '../api/names.ts';
import { CertificateManager, CHECK_PERIOD_MS } from './certificate-manager.ts';
import { type Certifier, createCertifyClient } from './certify-client.ts';
import { type Clock, systemClock, type Timer } from './clock.ts';
import { createChannel } from './grpc-client.ts';
import type { Channel, ChannelOptions } from './grpc-types.ts';
import type { Http2Connect } from './http2.ts';
import type { Resolve } from './resolver.ts';
import { anchorsOnlyContext, clientOptions, TlsSnapshot } from './tls-options.ts';
import { TrustStore } from './trust-store.ts';
import { TrustStream } from './trust-stream.ts';
import type {
  ClientTlsOptions,
  ExpectedPeer,
  IdentityMetric,
  IdentityState,
  Logger,
  PeerIdentity,
  ServerTlsOptions,
  TrustSnapshot,
  VerifyError,
  WorkloadIdentity,
  WorkloadNames,
} from './types.ts';
import { PeerVerifier } from './verify-peer.ts';

export interface WorkloadIdentityOptions {
  names: WorkloadNames;
  /** Name of the own pod, told with acknowledgements. */
  podName: string;
  /** PEM file with the first anchors; looked at again every 30 s. */
  anchorsFile: string;
  /** Where the first certificate and its renewals come from. */
  certify: { kind: 'service'; address: string; tokenFile: string } | { kind: 'local'; certifier: Certifier };
  /** Address of the trust-bundle stream; undefined: whoever holds this object feeds `applyBundle`. */
  trustBundleAddress?: string | undefined;
  resolve: Resolve;
  /** Source address of connections to the control plane. */
  localAddress?: string | undefined;
  /** Default: Node's HTTP/2. */
  connect?: Http2Connect;
  logger: Logger;
  clock?: Clock;
  random?: () => number;
}

/** What only the control plane does with its own identity: it has the bundles at hand, and no stream to itself. */
export interface LocalWorkloadIdentity extends WorkloadIdentity {
  /** As if the stream had brought it. Throws when the bundle is not usable. */
  applyBundle(sequence: bigint, anchorsDer: readonly Uint8Array[]): void;
}

/** Makes the process's identity and starts to get it certified. Never throws for what may heal: a missing file, an absent control plane. */
export function createWorkloadIdentity(options: WorkloadIdentityOptions): LocalWorkloadIdentity {
  return new Identity(options);
}

class Identity implements LocalWorkloadIdentity {
  readonly names: WorkloadNames;
  readonly dnsName: string;
  readonly spiffeId: string;
  readonly ready: Promise<void>;
  readonly #clock: Clock;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #store: TrustStore;
  readonly #verifier: PeerVerifier;
  readonly #manager: CertificateManager;
  readonly #channel: Channel | undefined;
  readonly #stream: TrustStream | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #resolveReady: () => void;
  #tls: { snapshot: TlsSnapshot; leaf: Uint8Array; trustVersion: number } | undefined;
  #nextCheck: Timer | undefined;
  #refreshedAt = 0;

  constructor(options: WorkloadIdentityOptions) {
    const { names, logger } = options;
    this.names = names;
    this.dnsName = dnsIdentity(names);
    this.spiffeId = formatSpiffeId(names);
    this.#clock = options.clock ?? systemClock;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#resolveReady = resolve;
    const common = {
      logger,
      clock: this.#clock,
      ...(options.random === undefined ? {} : { random: options.random }),
    };
    this.#store = new TrustStore({ file: options.anchorsFile, logger, changed: () => this.#onTrust() });
    this.#verifier = new PeerVerifier({
      trustDomain: names.trustDomain,
      trust: () => this.#store.snapshot,
      now: () => this.#clock.now(),
    });
    this.#manager = new CertificateManager({
      ...common,
      identity: this.dnsName,
      spiffeId: this.spiffeId,
      keys: this.#keys,
      certifier: this.#certifier(options),
      trustReady: () => this.#store.snapshot !== undefined,
      verify: (leaf, intermediates) => this.#verifier.verify(leaf, () => intermediates),
      changed: () => this.#onCertificate(),
    });
    if (options.trustBundleAddress !== undefined) {
      this.#channel = createChannel({
        ...common,
        ...source(options),
        address: options.trustBundleAddress,
        tls: () => this.clientOptions({ expect: controlPlane(names) }),
      });
      this.#stream = new TrustStream({
        ...common,
        channel: this.#channel,
        store: this.#store,
        namespace: names.namespace,
        workload: options.podName,
      });
    }
    this.#check();
  }

  get state(): IdentityState {
    return this.#manager.state;
  }

  get trust(): TrustSnapshot | undefined {
    return this.#store.snapshot;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  serverOptions(
    options: { alpn?: readonly string[]; clientCertificate?: 'required' | 'optional' } = {},
  ): ServerTlsOptions | undefined {
    return this.#tls?.snapshot.server(options.alpn, options.clientCertificate !== 'optional');
  }

  clientOptions(options: { alpn?: readonly string[]; expect: ExpectedPeer }): ClientTlsOptions | undefined {
    return this.#tls?.snapshot.client(options.alpn, options.expect);
  }

  verifyPeer(socket: TLSSocket): PeerIdentity | VerifyError {
    return this.#verifier.verifySocket(socket);
  }

  applyBundle(sequence: bigint, anchorsDer: readonly Uint8Array[]): void {
    this.#store.streamLive = true;
    this.#store.applyBundle(sequence, anchorsDer);
  }

  renew(): void {
    this.#manager.renew();
  }

  metrics(): IdentityMetric[] {
    const state = this.#manager.state;
    const expiry = state.kind === 'certified' || state.kind === 'expired' ? state.certificate.validUntil : 0;
    return [
      {
        name: 'control_identity_cert_expiration_timestamp_seconds',
        help: "Time when this process's certificate expires (seconds since the epoch); 0 before the first",
        type: 'gauge',
        value: expiry / 1000,
      },
      {
        name: 'control_identity_cert_refresh_timestamp_seconds',
        help: "Time when this process's certificate was last renewed (seconds since the epoch)",
        type: 'gauge',
        value: this.#refreshedAt / 1000,
      },
      {
        name: 'control_identity_cert_refreshes_total',
        help: "Number of times this process's certificate was got or renewed",
        type: 'counter',
        value: this.#manager.refreshes,
      },
      {
        name: 'isthmus_identity_trust_bundle_sequence',
        help: 'Sequence number of the trust bundle in use; 0 while the anchors come from the file',
        type: 'gauge',
        value: Number(this.#store.snapshot?.sequence ?? 0n),
      },
      {
        name: 'isthmus_identity_trust_bundle_stale_seconds',
        help: 'Seconds since the stream of trust bundles was up to date; 0 while it is',
        type: 'gauge',
        value: this.#stream?.staleSeconds ?? 0,
      },
    ];
  }

  stop(): void {
    this.#nextCheck?.cancel();
    this.#stream?.stop();
    this.#channel?.close();
    this.#manager.stop();
  }

  #certifier(options: WorkloadIdentityOptions): Certifier {
    const { certify } = options;
    if (certify.kind === 'local') return certify.certifier;
    return createCertifyClient({
      address: certify.address,
      tokenFile: certify.tokenFile,
      logger: options.logger,
      clock: this.#clock,
      ...source(options),
      tls: () => this.#bootstrapOptions(),
      anonymous: true,
    });
  }

  /** The first request is made without a certificate; the server still has to be this cluster's control plane, since it gets our token. */
  #bootstrapOptions(): ClientTlsOptions | undefined {
    const trust = this.#store.snapshot;
    if (trust === undefined) return undefined;
    return clientOptions(
      anchorsOnlyContext(trust),
      (leaf, presented) => this.#verifier.verify(leaf, presented),
      undefined,
      controlPlane(this.names),
    );
  }

  /** Looks at all that depends on wall time or on files, again and again. */
  #check(): void {
    this.#store.readFile();
    if (this.#manager.state.kind === 'stopped') return;
    this.#manager.check();
    const period = this.#store.snapshot === undefined ? FILE_WAIT_MS : CHECK_PERIOD_MS;
    this.#nextCheck = this.#clock.after(period, () => this.#check());
  }

  #onTrust(): void {
    this.#rebuild();
    this.#manager.anchorsChanged();
    this.#notify();
  }

  #onCertificate(): void {
    const before = this.#tls?.leaf;
    this.#rebuild();
    if (this.#tls !== undefined && this.#tls.leaf !== before) this.#refreshedAt = this.#clock.now();
    if (this.#tls !== undefined) {
      this.#resolveReady();
      this.#stream?.start();
    }
    this.#notify();
  }

  /** One TLS snapshot per pair of certificate and anchors. */
  #rebuild(): void {
    const state = this.#manager.state;
    const trust = this.#store.snapshot;
    if (state.kind !== 'certified' || trust === undefined) return;
    const { leaf } = state.certificate;
    if (this.#tls?.leaf === leaf && this.#tls.trustVersion === trust.version) return;
    const snapshot = new TlsSnapshot(state.certificate, this.#keys.privateKey, trust, (cert, presented) =>
      this.#verifier.verify(cert, presented),
    );
    this.#tls = { snapshot, leaf, trustVersion: trust.version };
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** ms between looks for an anchors file that is not there yet: the ConfigMap may come just after the pod. */
const FILE_WAIT_MS = 1_000;

function source({
  resolve,
  localAddress,
  connect,
}: WorkloadIdentityOptions): Pick<ChannelOptions, 'resolve' | 'localAddress' | 'connect'> {
  return {
    resolve,
    ...(localAddress === undefined ? {} : { localAddress }),
    ...(connect === undefined ? {} : { connect }),
  };
}

/** Both names of this cluster's control plane: another cluster's, though it has the same anchor, must not get our token. */
function controlPlane(names: WorkloadNames): Required<ExpectedPeer> {
  const workload = { ...names, serviceAccount: component.controlPlane, namespace: names.meshNamespace };
  return { dnsName: dnsIdentity(workload), spiffeId: formatSpiffeId(workload) };
}
