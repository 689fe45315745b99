import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { asUser, type ClusterAccess, readClusterId } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { type Output, silentOutput } from '../output.ts';
import { bringInstallation } from './bring-installation.ts';
import { readClusterTraits } from './cluster-traits.ts';
import { readInstallation, readMeshNamespace } from './installation.ts';
import { tellOfLinkerd } from './linkerd-notice.ts';
import { customResourceDefinitions, meshObjects } from './manifests.ts';
import { findTrust, newTrust, refuseOtherAnchor } from './present-trust.ts';
import { type AskedValues, type ClusterTraits, type InstallValues, installValues } from './values.ts';
import { waitForMesh } from './wait-for-mesh.ts';

/** All objects of an installation, with a newly signed issuer: for `-o yaml` and GitOps. `trustDir` as for install. */
export async function renderInstallation(
  asked: AskedValues,
  traits: ClusterTraits,
  trustDir: string | undefined,
  output: Output,
): Promise<KubernetesObject[]> {
  const values = installValues(asked, traits);
  const trust = await newTrust(values, trustDir, output);
  return [...customResourceDefinitions(), ...meshObjects({ values, asked, trust })];
}

/**
 * Installs the mesh, or brings an installation to these values, and waits until every component is available.
 * `trustDir`: folder of the trust anchor; the operator's own when it is undefined. See applyInstallation.
 */
export async function install(
  cluster: ClusterAccess,
  asked: AskedValues,
  trustDir: string | undefined,
  output: Output,
): Promise<void> {
  const values = await applyInstallation(cluster, asked, trustDir, output);
  await waitForMesh(cluster, values, output);
}

/**
 * Applies the objects of an installation and answers its values; twice changes nothing. An issuer that is there stays.
 * Throws a UserError when the cluster has another id already (an id never changes), its mesh in another namespace, or another trust anchor.
 */
export async function applyInstallation(
  cluster: ClusterAccess,
  asked: AskedValues,
  trustDir: string | undefined,
  output: Output = silentOutput,
): Promise<InstallValues> {
  const values = await valuesFor(cluster, asked);
  await refuseOtherMesh(cluster, values);
  const present = await asUser(cluster, () => findTrust(cluster.client, values.meshNamespace));
  if (present !== undefined) await refuseOtherAnchor(trustDir, present);
  const trust = present ?? (await newTrust(values, trustDir, output));
  await tellOfLinkerd(cluster, values, output);
  await bringInstallation(cluster, { values, asked, trust }, output);
  return values;
}

/** All values for this cluster. Throws a UserError for what it can not do. */
export async function valuesFor(cluster: ClusterAccess, asked: AskedValues): Promise<InstallValues> {
  const traits = await asUser(cluster, () => readClusterTraits(cluster));
  const values = installValues(asked, traits);
  if (traits.embedded && values.proxyMode === 'redirect') {
    throw new UserError(
      `the cluster of context "${cluster.context}" is an embedded one: connections can not be redirected there`,
      'Leave the proxy mode out, or ask for --proxy-mode explicit.',
    );
  }
  return values;
}

async function refuseOtherMesh(cluster: ClusterAccess, values: InstallValues): Promise<void> {
  const { clusterName, meshNamespace } = values;
  const id = await asUser(cluster, () => readClusterId(cluster));
  if (id !== undefined && id !== clusterName) {
    throw new UserError(
      `the cluster of context "${cluster.context}" has the id "${id}", not "${clusterName}"`,
      `A cluster id never changes: use --cluster-name ${id}.`,
    );
  }
  const installed = await readInstallation(cluster, meshNamespace);
  if (installed !== undefined && installed.trustDomain !== values.trustDomain) {
    throw new UserError(
      `the mesh of context "${cluster.context}" has the trust domain "${installed.trustDomain}", not "${values.trustDomain}"`,
      `Every identity carries it: use --trust-domain ${installed.trustDomain}, or uninstall the mesh first.`,
    );
  }
  const namespace = await readMeshNamespace(cluster);
  if (namespace !== undefined && namespace !== meshNamespace) {
    throw new UserError(
      `the cluster of context "${cluster.context}" has a mesh already, in namespace "${namespace}"`,
      `A cluster has one mesh: use --isthmus-namespace ${namespace}, or uninstall it first.`,
    );
  }
}
