import { generateKeyPairSync } from 'node:crypto';
import { Registry } from 'prom-client';
import type { Pod } from '../../api/kubernetes-types.ts';
import { component, dnsIdentity, label, object } from '../../api/names.ts';
import { createClient } from '../../kubernetes/client.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { KubernetesClient } from '../../kubernetes/types.ts';
import { openTestApi, type TestApi } from '../../test/testing/test-api.ts';
import type { Clock } from '../../workload-identity/index.ts';
import { type CertificateAndKey, createIdentityServices, createIssuer, createTrustAnchor } from '../index.ts';
import type { IdentityServices } from '../index.ts';

/** The identity services of one cluster on an API server, and who lives there. */
export interface IdentitySuite {
  api: TestApi;
  /** Namespaces: of the mesh, of a meshed application, and of one that is not meshed. */
  mesh: string;
  shop: string;
  plain: string;
  settings: { clusterId: string; trustDomain: string; meshNamespace: string };
  /** The application `web` in the meshed namespace. */
  web: IdentitySuite['settings'] & { namespace: string; serviceAccount: string };
  webIdentity: string;
  anchor: CertificateAndKey;
  issuer: CertificateAndKey;
}

/** One test's services. */
export interface World {
  services: IdentityServices;
  registry: Registry;
  /** While true, nothing but watches comes through to the API server. */
  setDown: (down: boolean) => void;
}

export const workloadKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const ACCOUNTS = ['web', component.controlPlane, component.gateway];

export async function openIdentitySuite(): Promise<IdentitySuite> {
  const api = await openTestApi([
    resources.trustBundles,
    resources.secrets,
    resources.configMaps,
    resources.pods,
    resources.events,
  ]);
  const mesh = await api.namespace('isthmus');
  const shop = await api.namespace('shop');
  const plain = await api.namespace('plain');
  for (const namespace of [mesh, shop])
    for (const name of ACCOUNTS)
      await api.client.create(resources.serviceAccounts, { metadata: { name, namespace } });
  const settings = { clusterId: 'east', trustDomain: 'cluster.local', meshNamespace: mesh };
  const web = { ...settings, namespace: shop, serviceAccount: 'web' };
  const anchor = await createTrustAnchor();
  const issuer = await createIssuer({ anchor, ...settings });
  return { api, mesh, shop, plain, settings, web, webIdentity: dnsIdentity(web), anchor, issuer };
}

/** Starts the services of replica `cp-1` where a mesh is installed; `issuer: 'none'`: its Secret is not there yet. */
export async function openWorld(
  suite: IdentitySuite,
  cleanups: (() => unknown)[],
  options: { issuer?: 'none'; clock?: Clock } = {},
): Promise<World> {
  const { api, mesh, settings, anchor, issuer } = suite;
  await putBundle(suite, [anchor.certificate]);
  if (options.issuer !== 'none') await putIssuer(suite, issuer);
  // Labelled as an installation labels the components.
  await putPod(suite, mesh, 'cp-1', component.controlPlane, { [label.controlPlaneNs]: mesh });
  let down = false;
  const client = createClient(api.config);
  cleanups.push(() => client.close());
  const registry = new Registry();
  const services = await createIdentityServices({
    client: interruptible(client, () => down),
    settings,
    replica: 'cp-1',
    registry,
    reportPeriodMs: 50,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  cleanups.push(() => services.stop());
  return { services, registry, setDown: (value) => (down = value) };
}

export async function putIssuer(
  { api, mesh, anchor }: IdentitySuite,
  made: CertificateAndKey,
): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  await api.put(resources.secrets, {
    metadata: { name: object.issuerSecret, namespace: mesh },
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': base64(made.certificate),
      'tls.key': base64(made.key),
      'ca.crt': base64(anchor.certificate),
    },
  });
}

export async function putBundle({ api }: IdentitySuite, anchors: string[]): Promise<void> {
  await api.put(resources.trustBundles, { metadata: { name: object.trustBundle }, spec: { anchors } });
}

/** A pod that nothing starts: no scheduler has this name. */
export async function putPod(
  { api }: IdentitySuite,
  namespace: string,
  name: string,
  serviceAccountName: string,
  labels: Record<string, string> = {},
): Promise<void> {
  const pod: Pod = {
    metadata: { name, namespace, labels },
    spec: {
      schedulerName: 'nobody',
      automountServiceAccountToken: false,
      serviceAccountName,
      containers: [{ name: 'app', image: 'test.invalid/app:1' }],
    },
  };
  await api.put(resources.pods, pod);
}

/** A running pod with a sidecar. */
export async function putMeshedPod(suite: IdentitySuite, name: string): Promise<void> {
  const { api, shop, mesh } = suite;
  await putPod(suite, shop, name, 'web', { [label.controlPlaneNs]: mesh });
  const pod = await api.client.get(resources.pods, shop, name);
  await api.put(resources.pods, { ...pod, status: { phase: 'Running' } });
}

function interruptible(client: KubernetesClient, down: () => boolean): KubernetesClient {
  return new Proxy(client, {
    get(target, property: keyof KubernetesClient) {
      if (property !== 'raw' || !down()) return target[property].bind(target);
      return () => Promise.reject(new Error('connection refused'));
    },
  });
}
