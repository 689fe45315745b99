import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { object, VERSION } from '../../api/names.ts';
import { asUser, type ClusterAccess, requireClusterId } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { type Output, silentOutput } from '../output.ts';
import type { GivenValues } from './asked-values.ts';
import { bringInstallation } from './bring-installation.ts';
import { valuesFor } from './install.ts';
import { readAskedValues, requireInstallation } from './installation.ts';
import { customResourceDefinitions, type Installation, meshObjects } from './manifests.ts';
import { findTrust } from './present-trust.ts';
import type { AskedValues, InstallValues } from './values.ts';
import { waitForMesh } from './wait-for-mesh.ts';

/** Brings a cluster's mesh to this version and waits until every component is available. See applyUpgrade. */
export async function upgrade(
  cluster: ClusterAccess,
  meshNamespace: string,
  changes: GivenValues,
  output: Output,
): Promise<void> {
  const values = await applyUpgrade(cluster, meshNamespace, changes, output);
  await waitForMesh(cluster, values, output);
  output.err(
    `The mesh of context "${cluster.context}" is of version ${VERSION}. Restart meshed workloads to give them its sidecar.\n`,
  );
}

/**
 * Applies this version's objects and answers its values: what was asked for at the install stays, changed by `changes`;
 * trust anchors and issuer stay; what this version has no more goes. Throws a UserError where there is no mesh, or for
 * a change that an upgrade can not make.
 */
export async function applyUpgrade(
  cluster: ClusterAccess,
  meshNamespace: string,
  changes: GivenValues,
  output: Output = silentOutput,
): Promise<InstallValues> {
  const installation = await planUpgrade(cluster, meshNamespace, changes);
  await bringInstallation(cluster, installation, output);
  return installation.values;
}

/** The objects that an upgrade would apply, for `-o yaml` and GitOps. They hold the issuer's key, as those of an install do. */
export async function renderUpgrade(
  cluster: ClusterAccess,
  meshNamespace: string,
  changes: GivenValues,
): Promise<KubernetesObject[]> {
  return [...customResourceDefinitions(), ...meshObjects(await planUpgrade(cluster, meshNamespace, changes))];
}

async function planUpgrade(
  cluster: ClusterAccess,
  meshNamespace: string,
  changes: GivenValues,
): Promise<Installation> {
  const installed = await requireInstallation(cluster, meshNamespace);
  if (changes.trustDomain !== undefined && changes.trustDomain !== installed.trustDomain) {
    throw new UserError(
      `the trust domain "${installed.trustDomain}" can not become "${changes.trustDomain}"`,
      'Every identity carries it: uninstall the mesh and install it anew.',
    );
  }
  const kept = (await readAskedValues(cluster, meshNamespace)) ?? {};
  const asked: AskedValues = {
    ...kept,
    ...changes,
    clusterName: await requireClusterId(cluster),
    meshNamespace,
  };
  const values = await valuesFor(cluster, asked);
  const trust = await asUser(cluster, () => findTrust(cluster.client, meshNamespace));
  if (trust === undefined) {
    throw new UserError(
      `the mesh of context "${cluster.context}" has lost its issuer (Secret ${object.issuerSecret}) or its trust bundle`,
      `Run \`isthmus install --cluster-name ${asked.clusterName} --trust DIR\` with what the first install was given: it signs a new issuer with the anchor. docs/checks.md, "A new issuer", has the steps.`,
    );
  }
  return { values, asked, trust };
}
