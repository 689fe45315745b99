import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { component, object } from '../../api/names.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess, readClusterId } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { type Output, step } from '../output.ts';
import { createTrustFolder, defaultTrustDir, signIssuer } from '../trust/trust-folder.ts';
import { applyCustomResourceDefinitions, applyObjects, waitForDeployment } from './apply.ts';
import { readClusterTraits } from './cluster-traits.ts';
import { readInstallation, readMeshNamespace } from './installation.ts';
import { customResourceDefinitions, meshObjects } from './manifests.ts';
import { type AskedValues, type InstallValues, installValues, type TrustMaterial } from './values.ts';

const DEPLOYMENT_TIMEOUT_MS = 120_000;

/** The folder of the trust anchor: the named one, or the operator's own, which is made at the first install and said aloud. */
export async function trustFolder(
  named: string | undefined,
  trustDomain: string,
  output: Output,
): Promise<string> {
  if (named !== undefined) return named;
  const dir = defaultTrustDir();
  try {
    await access(join(dir, 'ca.crt'));
  } catch {
    await createTrustFolder(dir, trustDomain);
    output.err(
      `‼ made a trust anchor in ${dir}: every cluster of the set must be installed with it; keep ca.key safe\n`,
    );
  }
  return dir;
}

/** All objects of an installation, with a newly signed issuer: for `-o yaml` and GitOps. */
export async function renderInstallation(
  values: InstallValues,
  trustDir: string,
): Promise<KubernetesObject[]> {
  return [...customResourceDefinitions(), ...meshObjects(values, await signIssuer(trustDir, values))];
}

/** Installs the mesh, or brings an installation to these values, and waits until every component is available. See applyInstallation. */
export async function install(
  cluster: ClusterAccess,
  asked: AskedValues,
  trustDir: string,
  output: Output,
): Promise<void> {
  const { meshNamespace } = await applyInstallation(cluster, asked, trustDir, output);
  await step(output, 'control plane, gateway and mirror controller are available', () =>
    waitForMesh(cluster, meshNamespace),
  );
}

/**
 * Applies the objects of an installation and answers its values; twice changes nothing. An issuer that is there stays.
 * Throws a UserError when the cluster has another id already (an id never changes), or its mesh in another namespace.
 */
export async function applyInstallation(
  cluster: ClusterAccess,
  asked: AskedValues,
  trustDir: string,
  output: Output,
): Promise<InstallValues> {
  const { client } = cluster;
  const values = await valuesFor(cluster, asked);
  await refuseOtherMesh(cluster, values);
  await asUser(cluster, async () => {
    const trust = await presentTrust(cluster, values, trustDir);
    await step(output, 'custom resource definitions', () =>
      applyCustomResourceDefinitions(client, customResourceDefinitions()),
    );
    await step(output, `objects in namespace ${values.meshNamespace}`, () =>
      applyObjects(client, meshObjects(values, trust)),
    );
  });
  return values;
}

async function valuesFor(cluster: ClusterAccess, asked: AskedValues): Promise<InstallValues> {
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
  const namespace = await readMeshNamespace(cluster);
  if (namespace !== undefined && namespace !== meshNamespace) {
    throw new UserError(
      `the cluster of context "${cluster.context}" has a mesh already, in namespace "${namespace}"`,
      `A cluster has one mesh: use --isthmus-namespace ${namespace}, or uninstall it first.`,
    );
  }
}

async function waitForMesh(cluster: ClusterAccess, meshNamespace: string): Promise<void> {
  const names = [component.controlPlane, component.gateway, component.mirrorController];
  await asUser(cluster, async () => {
    await Promise.all(
      names.map((name) => waitForDeployment(cluster.client, meshNamespace, name, DEPLOYMENT_TIMEOUT_MS)),
    );
  });
}

/** An issuer that is there stays: a new one at each install would re-issue every leaf for nothing. */
async function presentTrust(
  cluster: ClusterAccess,
  values: InstallValues,
  trustDir: string,
): Promise<TrustMaterial> {
  const installed = await readInstallation(cluster, values.meshNamespace);
  const secret = await findIssuer(cluster, values.meshNamespace);
  if (installed?.trustDomain !== values.trustDomain || secret === undefined)
    return signIssuer(trustDir, values);
  const bundle = await cluster.client.get(resources.trustBundles, undefined, object.trustBundle);
  return { anchors: bundle.spec.anchors, ...secret };
}

async function findIssuer(
  cluster: ClusterAccess,
  namespace: string,
): Promise<Pick<TrustMaterial, 'issuerCertificate' | 'issuerKey'> | undefined> {
  try {
    const { data = {} } = await cluster.client.get(resources.secrets, namespace, object.issuerSecret);
    const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
    return { issuerCertificate: text('tls.crt'), issuerKey: text('tls.key') };
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return undefined;
    throw error;
  }
}
