import { X509Certificate } from 'node:crypto';
import type { ConfigMap } from '../../api/kubernetes-types.ts';
import { component, object } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { type GivenValues, keptValues } from './asked-values.ts';
import type { InstallValues } from './values.ts';

/** Reads what the cluster's mesh was installed with; undefined when there is none. */
export async function readInstallation(
  cluster: ClusterAccess,
  meshNamespace: string,
): Promise<InstallValues | undefined> {
  const map = await readSettings(cluster, meshNamespace);
  if (map === undefined) return undefined;
  return JSON.parse(map.data?.[object.configKey] ?? '{}') as InstallValues;
}

/** What of the values was asked for, as far as this version knows it; undefined when there is no mesh. */
export async function readAskedValues(
  cluster: ClusterAccess,
  meshNamespace: string,
): Promise<GivenValues | undefined> {
  const map = await readSettings(cluster, meshNamespace);
  if (map === undefined) return undefined;
  return keptValues(JSON.parse(map.data?.[object.askedKey] ?? '{}'));
}

async function readSettings(cluster: ClusterAccess, meshNamespace: string): Promise<ConfigMap | undefined> {
  return asUser(cluster, async () => {
    try {
      return await cluster.client.get(resources.configMaps, meshNamespace, object.configMap);
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 404) return undefined;
      throw error;
    }
  });
}

/**
 * Namespace of the cluster's mesh, or undefined when there is none: the control plane's binding names it, and is the last thing that an uninstall removes. A
 * cluster has one mesh, since its webhook and its rights are cluster-wide.
 */
export async function readMeshNamespace(cluster: ClusterAccess): Promise<string | undefined> {
  const { items } = await asUser(cluster, () =>
    cluster.client.list(resources.clusterRoleBindings, {
      fieldSelector: `metadata.name=${component.controlPlane}`,
    }),
  );
  return items[0]?.subjects?.[0]?.namespace;
}

/** As readInstallation, but a cluster without a mesh is an error. */
export async function requireInstallation(
  cluster: ClusterAccess,
  meshNamespace: string,
): Promise<InstallValues> {
  const values = await readInstallation(cluster, meshNamespace);
  if (values === undefined) {
    throw new UserError(
      `the cluster of context "${cluster.context}" has no mesh in namespace "${meshNamespace}"`,
      `Run \`isthmus install --context ${cluster.context} --cluster-name NAME\` first.`,
    );
  }
  return values;
}

/** The trust anchors that a cluster accepts, by SHA-256 fingerprint. */
export async function readTrustAnchors(
  cluster: ClusterAccess,
  meshNamespace: string,
): Promise<Map<string, X509Certificate>> {
  const map = await asUser(cluster, () =>
    cluster.client.get(resources.configMaps, meshNamespace, object.trustRootsConfigMap),
  );
  const pem = map.data?.[object.trustRootsKey] ?? '';
  const anchors = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return new Map(
    anchors.map((text) => {
      const certificate = new X509Certificate(text);
      return [certificate.fingerprint256, certificate];
    }),
  );
}
