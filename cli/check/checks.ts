import type { X509Certificate } from 'node:crypto';
import type { Link } from '../../api/isthmus-types.ts';
import type { Condition, Deployment, Pod } from '../../api/kubernetes-types.ts';
import { component, label, object, VERSION } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { type ClusterAccess, readClusterId } from '../cluster-access.ts';
import { customResourceDefinitions } from '../install/manifests.ts';
import { readInstallation, readTrustAnchors } from '../install/installation.ts';

/** What one check came to. A warning does not fail the command; Linkerd's rule. */
export type Verdict = { result: 'success' } | { result: 'warning' | 'error'; message: string };

/** One line of `isthmus check`. */
export interface Check {
  category: string;
  description: string;
  /** Where the remedy stands. */
  hint: string;
  /** The following checks make no sense when this one fails. */
  fatal: boolean;
  run(context: CheckContext): Promise<Verdict>;
}

export interface CheckContext {
  cluster: ClusterAccess;
  meshNamespace: string;
  /** ms since the epoch. */
  now: number;
}

/** Linkerd warns at 60 days before an anchor or issuer ends. */
const EXPIRY_WARNING_DAYS = 60;
const DAY_MS = 24 * 3600 * 1000;

const ok: Verdict = { result: 'success' };
const error = (message: string): Verdict => ({ result: 'error', message });
const warning = (message: string): Verdict => ({ result: 'warning', message });

export const checks: readonly Check[] = [
  {
    category: 'kubernetes-api',
    description: 'can reach the Kubernetes API',
    hint: 'Is the cluster up, and is the address in the kubeconfig right?',
    fatal: true,
    run: async ({ cluster }) => {
      await cluster.client.raw('GET', '/version');
      return ok;
    },
  },
  {
    category: 'isthmus-crd',
    description: 'CustomResourceDefinitions exist and are served',
    hint: 'Run `isthmus install` again.',
    fatal: true,
    run: async ({ cluster }) => {
      for (const crd of customResourceDefinitions()) {
        await cluster.client.get(resources.customResourceDefinitions, undefined, crd.metadata?.name ?? '');
      }
      return ok;
    },
  },
  {
    category: 'isthmus-config',
    description: 'the mesh is installed',
    hint: 'Run `isthmus install --cluster-name NAME`.',
    fatal: true,
    run: async ({ cluster, meshNamespace }) => {
      const values = await readInstallation(cluster, meshNamespace);
      return values === undefined
        ? error(`no ConfigMap ${object.configMap} in namespace ${meshNamespace}`)
        : ok;
    },
  },
  {
    category: 'isthmus-config',
    description: 'the cluster id is the one that was installed',
    hint: 'A cluster id never changes: install the cluster anew to give it another.',
    fatal: false,
    run: async ({ cluster, meshNamespace }) => {
      const id = await readClusterId(cluster);
      const values = await readInstallation(cluster, meshNamespace);
      return id === values?.clusterName
        ? ok
        : error(`ClusterProperty says "${id}", the mesh "${values?.clusterName}"`);
    },
  },
  {
    category: 'isthmus-identity',
    description: 'trust anchors are within their validity period',
    hint: 'Rotate the trust anchor.',
    fatal: false,
    run: async ({ cluster, meshNamespace, now }) => {
      const anchors = [...(await readTrustAnchors(cluster, meshNamespace)).values()];
      if (anchors.length === 0) return error('there is no trust anchor');
      return worst(anchors.map((anchor) => validity('trust anchor', anchor, now)));
    },
  },
  {
    category: 'isthmus-identity',
    description: 'the control plane is ready (issuer valid and signed by an anchor)',
    hint: 'See `kubectl -n isthmus describe deployment isthmus-control-plane`.',
    fatal: false,
    run: (context) => deploymentAvailable(context, component.controlPlane),
  },
  {
    category: 'isthmus-identity',
    description: 'every connected workload has acknowledged the trust bundle',
    hint: 'See `kubectl get trustbundle isthmus -o yaml`.',
    fatal: false,
    run: async ({ cluster }) => {
      const bundle = await cluster.client.get(resources.trustBundles, undefined, object.trustBundle);
      const pending = (bundle.status?.acknowledgements ?? []).reduce((sum, a) => sum + a.pending, 0);
      return pending === 0 ? ok : warning(`${pending} workloads have not`);
    },
  },
  {
    category: 'isthmus-injector',
    description: 'the webhook has the CA of its certificate',
    hint: 'The control plane keeps it right: see its log.',
    fatal: false,
    run: async ({ cluster }) => {
      const webhook = await cluster.client.get(
        resources.mutatingWebhookConfigurations,
        undefined,
        object.injectorWebhook,
      );
      const missing = (webhook.webhooks ?? []).filter((w) => !w.clientConfig.caBundle);
      return missing.length === 0 ? ok : error(`webhook ${missing[0]?.name} has no caBundle`);
    },
  },
  {
    category: 'isthmus-data-plane',
    description: 'sidecars are ready and of this version',
    hint: 'Restart the workloads: `kubectl rollout restart`.',
    fatal: false,
    run: async ({ cluster, meshNamespace }) => {
      const { items } = await cluster.client.list(resources.pods, {
        labelSelector: `${label.controlPlaneNs}=${meshNamespace}`,
      });
      return worst(items.filter((pod) => pod.metadata?.namespace !== meshNamespace).map(sidecarVerdict));
    },
  },
  {
    category: 'isthmus-multicluster',
    description: 'the gateway is available',
    hint: 'See `kubectl -n isthmus describe deployment isthmus-gateway`.',
    fatal: false,
    run: (context) => deploymentAvailable(context, component.gateway),
  },
  {
    category: 'isthmus-multicluster',
    description: 'the mirror controller is available',
    hint: 'See `kubectl -n isthmus describe deployment isthmus-mirror-controller`.',
    fatal: false,
    run: (context) => deploymentAvailable(context, component.mirrorController),
  },
  {
    category: 'isthmus-multicluster',
    description: 'link credentials are valid and the APIs are reachable',
    hint: 'See `kubectl -n isthmus describe links`; `isthmus link` again renews the credentials.',
    fatal: false,
    run: (context) => linkConditions(context, ['CredentialsValid', 'ApiReachable', 'Synced']),
  },
  {
    category: 'isthmus-multicluster',
    description: 'gateways of the linked clusters are alive and share a trust anchor',
    hint: 'See `isthmus gateways` and `kubectl -n isthmus describe links`.',
    fatal: false,
    run: (context) => linkConditions(context, ['GatewayAlive', 'TrustShared']),
  },
  {
    category: 'isthmus-multicluster',
    description: 'every mirror service belongs to a link',
    hint: 'Delete the mirrors that are left over, or link the cluster again.',
    fatal: false,
    run: async ({ cluster, meshNamespace }) => {
      const links = await cluster.client.list(resources.links, { namespace: meshNamespace });
      const linked = new Set(links.items.map((link) => link.spec.targetClusterName));
      const mirrors = await cluster.client.list(resources.services, {
        labelSelector: `${label.mirroredService}=true`,
      });
      const orphan = mirrors.items.find((s) => !linked.has(s.metadata?.labels?.[label.mirrorCluster] ?? ''));
      return orphan === undefined
        ? ok
        : error(`Service ${orphan.metadata?.namespace}/${orphan.metadata?.name} has no Link`);
    },
  },
];

function worst(verdicts: readonly Verdict[]): Verdict {
  return verdicts.find((v) => v.result === 'error') ?? verdicts.find((v) => v.result === 'warning') ?? ok;
}

function validity(what: string, certificate: X509Certificate, now: number): Verdict {
  const end = certificate.validToDate.getTime();
  const name = certificate.subject.replaceAll('\n', ',') || certificate.serialNumber;
  if (now < certificate.validFromDate.getTime()) return error(`${what} ${name} is not valid yet`);
  if (now > end) return error(`${what} ${name} has expired on ${certificate.validTo}`);
  const days = Math.floor((end - now) / DAY_MS);
  return days < EXPIRY_WARNING_DAYS ? warning(`${what} ${name} ends in ${days} days`) : ok;
}

async function deploymentAvailable({ cluster, meshNamespace }: CheckContext, name: string): Promise<Verdict> {
  const deployment: Deployment = await cluster.client.get(resources.deployments, meshNamespace, name);
  const wanted = deployment.spec?.replicas ?? 1;
  const available = deployment.status?.availableReplicas ?? 0;
  if (wanted === 0) return error(`${name} is scaled to 0 replicas`);
  if (available >= wanted) return ok;
  const message = `${name}: ${available} of ${wanted} replicas are available`;
  return available === 0 ? error(message) : warning(message);
}

function sidecarVerdict(pod: Pod): Verdict {
  const name = `${pod.metadata?.namespace}/${pod.metadata?.name}`;
  const status = pod.status?.initContainerStatuses?.find((c) => c.name === component.proxy);
  if (status?.ready !== true) return error(`the sidecar of pod ${name} is not ready`);
  const version = pod.metadata?.annotations?.['isthmus.dev/proxy-version'];
  return version === VERSION
    ? ok
    : warning(`the sidecar of pod ${name} is of version ${version}, not ${VERSION}`);
}

async function linkConditions(
  { cluster, meshNamespace }: CheckContext,
  types: readonly string[],
): Promise<Verdict> {
  const { items } = await cluster.client.list(resources.links, { namespace: meshNamespace });
  return worst(items.flatMap((link) => types.map((type) => conditionVerdict(link, type))));
}

function conditionVerdict(link: Link, type: string): Verdict {
  const found: Condition | undefined = link.status?.conditions?.find((c) => c.type === type);
  if (found?.status === 'True') return ok;
  const why =
    found === undefined ? 'the mirror controller has not said yet' : (found.message ?? found.reason ?? '');
  const message = `link ${link.metadata?.name}: ${type} is ${found?.status ?? 'Unknown'}: ${why}`;
  return found?.status === 'False' ? error(message) : warning(message);
}
