import type { KubernetesObject, ObjectMeta } from '../../api/kubernetes-types.ts';
import { DEFAULT_OPAQUE_PORTS, LINKERD_WEBHOOK } from '../../api/names.ts';
import type { InjectionContext, Quantities, SidecarTelemetry } from '../../injector/index.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import type { InstallValues } from '../install/values.ts';

/** What the control plane of these values injects by: it gets the same values by its environment. */
export function injectionContext(values: InstallValues): Omit<InjectionContext, 'ignoreLinkerdAnnotation'> {
  return {
    clusterName: values.clusterName,
    clusterDomain: values.clusterDomain,
    trustDomain: values.trustDomain,
    meshNamespace: values.meshNamespace,
    image: values.image,
    imagePullPolicy: values.imagePullPolicy,
    proxyMode: values.proxyMode,
    defaultInboundPolicy: values.defaultInboundPolicy,
    opaquePorts: DEFAULT_OPAQUE_PORTS,
    clusterNetworks: values.clusterNetworks,
    logLevel: values.proxy.logLevel,
    telemetry: telemetry(values),
    resources: quantities(values.proxy.resources),
  };
}

function telemetry({ proxy, tracing }: InstallValues): SidecarTelemetry {
  const { collector, collectorIdentity, sampling } = tracing;
  return {
    accessLog: proxy.accessLog,
    ...(collector === undefined ? {} : { traceCollector: collector }),
    ...(collectorIdentity === undefined ? {} : { traceCollectorIdentity: collectorIdentity }),
    traceSampling: sampling,
  };
}

function quantities({ requests, limits }: InstallValues['proxy']['resources']): Quantities {
  return {
    cpuRequest: requests.cpu,
    memoryRequest: requests.memory,
    ...(limits.cpu === undefined ? {} : { cpuLimit: limits.cpu }),
    ...(limits.memory === undefined ? {} : { memoryLimit: limits.memory }),
  };
}

/** Whether the injector of this cluster leaves Linkerd's annotation to Linkerd. */
export async function ignoresLinkerd(
  cluster: ClusterAccess,
  { adoptLinkerd }: InstallValues,
): Promise<boolean> {
  if (adoptLinkerd) return false;
  const { items } = await asUser(cluster, () =>
    cluster.client.list(resources.mutatingWebhookConfigurations, {
      fieldSelector: `metadata.name=${LINKERD_WEBHOOK}`,
    }),
  );
  return items.length > 0;
}

/** What is known of the namespaces that objects belong to: by the objects themselves, else by the cluster. */
export async function namespaceMetadata(
  cluster: ClusterAccess,
  objects: readonly KubernetesObject[],
  fallback: string,
): Promise<Map<string, ObjectMeta>> {
  const given = objects.filter(({ kind }) => kind === 'Namespace').map(({ metadata }) => metadata);
  const known = new Map(given.map((metadata) => [metadata?.name ?? '', metadata ?? {}]));
  const names = new Set(objects.map(({ metadata }) => metadata?.namespace ?? fallback));
  const asked = [...names].filter((name) => !known.has(name));
  await Promise.all(
    asked.map(async (name) => {
      const metadata = await readMetadata(cluster, name);
      if (metadata !== undefined) known.set(name, metadata);
    }),
  );
  return known;
}

async function readMetadata(cluster: ClusterAccess, name: string): Promise<ObjectMeta | undefined> {
  return asUser(cluster, async () => {
    try {
      return (await cluster.client.get(resources.namespaces, undefined, name)).metadata;
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 404) return undefined;
      throw error;
    }
  });
}
