import type { Registry } from 'prom-client';
import type { CertifyRequest, CertifyResponse } from '../api/proto/gen/linkerd/identity_pb.js';
import { component } from '../api/names.ts';
import type { Clock as KubernetesClock } from '../kubernetes/clock.ts';
import { createEventRecorder } from '../kubernetes/events.ts';
import { type Log, silentLog } from '../kubernetes/log.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { type Certifier, type Clock, type PeerIdentity, systemClock } from '../workload-identity/index.ts';
import { type Bundle, BundleWatch } from './bundle-watch.ts';
import { CertifyService, type IdentitySettings } from './certify-service.ts';
import { type IssuerState, IssuerWatch } from './issuer-watch.ts';
import { registerMetrics } from './metrics.ts';
import { type AckStream, type BundleStream, TrustBundleService } from './trust-bundle-service.ts';
import { TrustBundleStatus } from './trust-bundle-status.ts';
import { TrustRootsController } from './trust-roots-controller.ts';
import { watchIdentity } from './watched.ts';

/** What the identity part does for the control plane's process. */
export interface IdentityServices {
  /** `Identity.Certify`; throws a `GrpcError`. */
  certify(request: CertifyRequest): Promise<CertifyResponse>;
  /** `TrustBundles.Sync`; `peer` is the verified identity of the connection. */
  syncTrustBundles(acks: AckStream, stream: BundleStream, peer: PeerIdentity | undefined): void;
  /** For the process's own identity: `createWorkloadIdentity({certify: {kind: 'local', certifier}})`. Waits for an issuer. */
  certifier: Certifier;
  readonly bundle: Bundle | undefined;
  /** Calls back after each change of `bundle`. Returns the unsubscriber. */
  onBundle(listener: (bundle: Bundle) => void): () => void;
  readonly issuer: IssuerState;
  /** Why certificates cannot be issued now; undefined when they can: for the readiness of the process. */
  notReady(): string | undefined;
  stop(): Promise<void>;
}

/** What the identity part works with. */
export interface IdentityDeps {
  client: KubernetesClient;
  settings: IdentitySettings;
  /** Name of the own pod: its acknowledgements in TrustBundle.status stand under it. */
  replica: string;
  registry: Registry;
  logger?: Log;
  /** Wall time; certificates are judged by it. */
  clock?: Clock;
  /** Of reflectors and work queues. */
  kubernetesClock?: KubernetesClock;
  /** ms between two writes of who has acknowledged a trust bundle; absent: a second. */
  reportPeriodMs?: number;
}

/** See `createIdentityServices` of the index. */
export function startIdentityServices(deps: IdentityDeps): IdentityServices {
  const parts = createParts(deps);
  void startParts(parts);
  return servicesOf(parts, deps);
}

type Parts = ReturnType<typeof createParts>;

/** Puts the parts together. Nothing is read or written yet. */
function createParts(deps: IdentityDeps) {
  const {
    client,
    settings,
    replica,
    registry,
    logger: log = silentLog,
    clock = systemClock,
    kubernetesClock,
    reportPeriodMs,
  } = deps;
  const { meshNamespace } = settings;
  const reflect = { logger: log, ...(kubernetesClock === undefined ? {} : { clock: kubernetesClock }) };
  const events = createEventRecorder(client, {
    component: component.identity,
    instance: replica,
    ...reflect,
  });
  const watched = watchIdentity(client, meshNamespace, reflect);
  const { secrets, bundles, namespaces, configMaps, meshedPods, replicaPods } = watched;
  const bundle = new BundleWatch(bundles, log);
  const issuer = new IssuerWatch({ secrets, bundle, meshNamespace, names: settings, events, log, clock });
  const issuerState = (): IssuerState => issuer.state;
  const now = (): number => clock.now();
  const { counted } = registerMetrics(registry, { issuer: issuerState, bundle, now });
  const certify = new CertifyService({ client, issuer: issuerState, settings, events, clock, counted });
  const trustBundles = new TrustBundleService({
    bundle,
    clusterId: settings.clusterId,
    serviceAccountOf: (namespace, name) => {
      const pod = meshedPods.get(`${namespace}/${name}`) ?? replicaPods.get(`${namespace}/${name}`);
      return pod?.spec?.serviceAccountName;
    },
    log,
    changed: () => status.changed(),
  });
  const status = new TrustBundleStatus({
    client,
    bundles,
    watch: bundle,
    meshedPods,
    replicaPods,
    count: () => trustBundles.count(),
    meshNamespace,
    replica,
    log,
    wallNow: now,
    clock: kubernetesClock,
    reportPeriodMs,
  });
  const trustRoots = new TrustRootsController({
    client,
    namespaces,
    meshedPods,
    configMaps,
    bundle,
    meshNamespace,
    log,
    clock: kubernetesClock,
  });
  return {
    reflectors: Object.values(watched),
    events,
    bundle,
    issuer,
    certify,
    trustBundles,
    status,
    trustRoots,
    now,
  };
}

/** Controllers begin when everything has been read: one that acts on half a picture would write what it must take back. */
async function startParts({ reflectors, status, trustRoots }: Parts): Promise<void> {
  for (const reflector of reflectors) reflector.start();
  await Promise.all(reflectors.map((reflector) => reflector.synced));
  status.start();
  trustRoots.start();
}

function servicesOf(parts: Parts, { settings }: IdentityDeps): IdentityServices {
  const { reflectors, events, bundle, issuer, certify, trustBundles, status, trustRoots, now } = parts;
  const serviceAccount = component.controlPlane;
  const ownNames = { ...settings, namespace: settings.meshNamespace, serviceAccount };
  return {
    certify: (request) => certify.certify(request),
    syncTrustBundles: (acks, stream, peer) => trustBundles.sync(acks, stream, peer),
    certifier: async ({ csr }) => {
      // Everybody waits for this certificate: it comes with the issuer, not at the next attempt behind it.
      await issuer.ready;
      return certify.certifyOwn(csr, ownNames);
    },
    get bundle() {
      return bundle.current;
    },
    onBundle: (listener) =>
      bundle.onChange(() => {
        if (bundle.current !== undefined) listener(bundle.current);
      }),
    get issuer() {
      return issuer.state;
    },
    notReady: () => whyNoCertificates(issuer.state, now()),
    async stop() {
      issuer.stop();
      trustBundles.stop();
      const reflecting = reflectors.map((reflector) => reflector.stop());
      await Promise.all([status.stop(), trustRoots.stop(), events.stop(), ...reflecting]);
    },
  };
}

function whyNoCertificates(issuer: IssuerState, now: number): string | undefined {
  if (issuer.kind === 'waiting') return issuer.reason;
  return now > issuer.material.signer.notAfter ? 'the issuer has expired' : undefined;
}
