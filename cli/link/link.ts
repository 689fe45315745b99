import type { Link } from '../../api/isthmus-types.ts';
import type { Condition, KubernetesObject, TokenRequest } from '../../api/kubernetes-types.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError } from '../../kubernetes/types.ts';
import { asUser, type ClusterAccess, requireClusterId } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { applyObjects, deleteNamed, deleteObject } from '../install/apply.ts';
import { readTrustAnchors, requireInstallation } from '../install/installation.ts';
import { waitFor } from '../wait.ts';
import { linkSecretName, linkServiceAccountName, sourceObjects, targetObjects } from './link-objects.ts';
import { clearMirrors } from './mirrors.ts';

/** One year: the longest that a link lives without being renewed. The API server may shorten it. */
const LINK_TOKEN_SECONDS = 365 * 24 * 3600;
/** The gateway counts as alive after one good probe, which come every 3 s. */
const ALIVE_TIMEOUT_MS = 60_000;

/** Which clusters are joined, and how the source's pods reach the target. */
export interface LinkRequest {
  source: ClusterAccess;
  target: ClusterAccess;
  meshNamespace: string;
  /** For targets whose kubeconfig names an address that pods can't reach. */
  apiServerAddress?: string | undefined;
  gatewayAddresses?: string[] | undefined;
}

/** A link that may be made: everything that could be wrong with it has been looked at. */
export interface LinkPlan {
  request: LinkRequest;
  sourceId: string;
  targetId: string;
  clusterDomain: string;
  trustDomain: string;
}

/**
 * Looks whether the link makes sense: both have a mesh, they are not the same cluster under two names, their ids differ, and they share a trust anchor.
 * Throws a UserError otherwise.
 */
export async function planLink(request: LinkRequest): Promise<LinkPlan> {
  const { source, target, meshNamespace } = request;
  const sourceId = await asUser(source, () => requireClusterId(source));
  const targetId = await asUser(target, () => requireClusterId(target));
  if ((await clusterUid(source)) === (await clusterUid(target))) {
    throw new UserError(
      `contexts "${source.context}" and "${target.context}" are the same cluster ("${sourceId}")`,
      'A cluster cannot be linked to itself: name another one with --to.',
    );
  }
  if (sourceId === targetId) {
    throw new UserError(
      `both clusters have the id "${sourceId}"`,
      'Ids must differ within a cluster set, and never change: install one of them anew with another --cluster-name.',
    );
  }
  const values = await requireInstallation(target, meshNamespace);
  const sourceAnchors = await readTrustAnchors(source, meshNamespace);
  const targetAnchors = await readTrustAnchors(target, meshNamespace);
  if (![...targetAnchors.keys()].some((fingerprint) => sourceAnchors.has(fingerprint))) {
    throw new UserError(
      `clusters "${sourceId}" and "${targetId}" share no trust anchor`,
      'Install both with the same --trust folder.',
    );
  }
  return {
    request,
    sourceId,
    targetId,
    clusterDomain: values.clusterDomain,
    trustDomain: values.trustDomain,
  };
}

/** kube-system's UID: every cluster has one, and no two the same (KEP-2149). */
async function clusterUid(cluster: ClusterAccess): Promise<string> {
  const namespace = await asUser(cluster, () =>
    cluster.client.get(resources.namespaces, undefined, 'kube-system'),
  );
  return namespace.metadata?.uid ?? '';
}

/** What the link makes in the target. */
export function planTargetObjects(plan: LinkPlan): KubernetesObject[] {
  return targetObjects(plan.sourceId, plan.request.meshNamespace);
}

/** What the link makes in the source, with `token` as the credential. */
export function planSourceObjects(plan: LinkPlan, token: string): KubernetesObject[] {
  const { target, meshNamespace, apiServerAddress, gatewayAddresses } = plan.request;
  return sourceObjects(
    {
      clusterId: plan.targetId,
      clusterDomain: plan.clusterDomain,
      trustDomain: plan.trustDomain,
      meshNamespace,
      server: apiServerAddress ?? target.config.server,
      ca: target.config.ca,
      token,
      ...(gatewayAddresses === undefined ? {} : { gatewayAddresses }),
    },
    meshNamespace,
  );
}

/** Makes both sides. Doing it twice renews the token and changes nothing else. */
export async function applyLink(plan: LinkPlan): Promise<void> {
  const { source, target, meshNamespace } = plan.request;
  await asUser(target, () => applyObjects(target.client, planTargetObjects(plan)));
  const token = await asUser(target, () => requestToken(target, plan.sourceId, meshNamespace));
  await asUser(source, () => applyObjects(source.client, planSourceObjects(plan, token)));
}

/** A token for the link's account, where a link has been made before; undefined where there is no account yet. */
export async function tokenOfExistingAccount({ request, sourceId }: LinkPlan): Promise<string | undefined> {
  const { target, meshNamespace } = request;
  return asUser(target, async () => {
    try {
      return await requestToken(target, sourceId, meshNamespace);
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 404) return undefined;
      throw error;
    }
  });
}

async function requestToken(target: ClusterAccess, sourceId: string, namespace: string): Promise<string> {
  const name = linkServiceAccountName(sourceId);
  const body: TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: LINK_TOKEN_SECONDS },
  };
  const answer = await target.client.raw<TokenRequest>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    body,
  );
  return answer.status?.token ?? '';
}

/** Waits until the source's mirror controller says that the link works, and tells what is wrong when it does not. */
export async function waitForLink(plan: LinkPlan): Promise<void> {
  const { source, meshNamespace } = plan.request;
  let conditions: Condition[] = [];
  const wanted = ['CredentialsValid', 'ApiReachable', 'Synced', 'GatewayAlive'];
  const missing = (): Condition[] =>
    wanted
      .map((type) => conditions.find((c) => c.type === type) ?? { type, status: 'Unknown' as const })
      .filter((c) => c.status !== 'True');
  try {
    await waitFor(
      `link to "${plan.targetId}" to work`,
      async () => {
        const link = await source.client.get(resources.links, meshNamespace, plan.targetId);
        // What was said of an earlier spec says nothing of this one.
        const generation = link.metadata?.generation ?? 0;
        conditions = (link.status?.conditions ?? []).filter((c) => (c.observedGeneration ?? 0) >= generation);
        return missing().length === 0;
      },
      { timeoutMs: ALIVE_TIMEOUT_MS },
    );
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const why = missing().map(
      (c) => `${c.type} is ${c.status}${c.message === undefined ? '' : ` (${c.message})`}`,
    );
    throw new UserError(
      `${error.message}: ${why.join('; ')}`,
      `See \`kubectl --context ${source.context} -n ${meshNamespace} describe link ${plan.targetId}\`.`,
      { cause: error },
    );
  }
}

/**
 * Takes the link's objects out of the source: the Link, then its mirrors, then the credential. Works also when the mirror controller does not run. Answers
 * false when there was no link.
 */
export async function removeSourceSide(
  source: ClusterAccess,
  targetId: string,
  meshNamespace: string,
): Promise<boolean> {
  const link = await findLink(source, targetId, meshNamespace);
  await asUser(source, async () => {
    const { client } = source;
    await deleteNamed(client, resources.links, meshNamespace, targetId);
    await clearMirrors(client, targetId);
    const secret = link?.spec.clusterCredentialsSecret ?? linkSecretName(targetId);
    await deleteNamed(client, resources.secrets, meshNamespace, secret);
  });
  return link !== undefined;
}

async function findLink(
  source: ClusterAccess,
  targetId: string,
  meshNamespace: string,
): Promise<Link | undefined> {
  return asUser(source, async () => {
    try {
      return await source.client.get(resources.links, meshNamespace, targetId);
    } catch (error) {
      if (error instanceof KubernetesError && error.code === 404) return undefined;
      throw error;
    }
  });
}

/** Takes the source's account out of the target. Answers false when there was none. */
export async function removeTargetSide(
  target: ClusterAccess,
  sourceId: string,
  meshNamespace: string,
): Promise<boolean> {
  return asUser(target, async () => {
    const accounts = await target.client.list(resources.serviceAccounts, {
      namespace: meshNamespace,
      fieldSelector: `metadata.name=${linkServiceAccountName(sourceId)}`,
    });
    for (const object of targetObjects(sourceId, meshNamespace).toReversed()) {
      await deleteObject(target.client, object);
    }
    return accounts.items.length > 0;
  });
}
