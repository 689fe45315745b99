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
  const timing = kubernetesClock === undefined ? {} : { clock: kubernetesClock };
  const reflect = { logger: log, ...timing };
  const events = createEventRecorder(client, {
    component: component.identity,
    instance: replica,
    ...reflect,
  });

  const watched = watchIdentity(client, meshNamespace, reflect);
  const { secrets, bundles, namespaces, configMaps, meshedPods, replicaPods } = watched;
  const bundle = new BundleWatch(bundles, log);
  const issuer = new IssuerWatch({ secrets, bundle, meshNamespace, names: settings, events, log, clock });
  const { counted } = registerMetrics(registry, {
    issuer: () => issuer.state,
    bundle,
    now: () => clock.now(),
  });
  const certify = new CertifyService({
    client,
    issuer: () => issuer.state,
    settings,
    events,
    clock,
    counted,
  });
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
    wallNow: () => clock.now(),
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

  const reflectors = Object.values(watched);
  for (const reflector of reflectors) reflector.start();
  // A controller that acts on half a picture would write what it must take back.
  void startSynced();
  async function startSynced(): Promise<void> {
    await Promise.all(reflectors.map((reflector) => reflector.synced));
    status.start();
    trustRoots.start();
  }

  const ownNames = { ...settings, namespace: meshNamespace, serviceAccount: component.controlPlane };
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
    notReady: () => {
      if (issuer.state.kind === 'waiting') return issuer.state.reason;
      return clock.now() > issuer.state.material.signer.notAfter ? 'the issuer has expired' : undefined;
    },
    async stop() {
      issuer.stop();
      trustBundles.stop();
      await Promise.all([
        status.stop(),
        trustRoots.stop(),
        events.stop(),
        ...reflectors.map((r) => r.stop()),
      ]);
    },
  };
}
