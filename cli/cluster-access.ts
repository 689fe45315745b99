import { CLUSTER_ID_PROPERTY } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { resources } from '../kubernetes/resources.ts';
import { type ClientConfig, type KubernetesClient, KubernetesError } from '../kubernetes/types.ts';
import { UserError } from './errors.ts';
import { clientConfig, contextNames, type KubeconfigFile, readKubeconfigs } from './kubeconfig.ts';

/** One cluster as a person reaches it. */
export interface ClusterAccess {
  /** Kubeconfig context: only how a person reaches it, not its id. */
  readonly context: string;
  readonly config: ClientConfig;
  readonly client: KubernetesClient;
}

/** Opens a context of the user's kubeconfig. Throws a UserError that names the file and the context when there is none. */
export async function openCluster(where: {
  context?: string | undefined;
  kubeconfig?: string | undefined;
}): Promise<ClusterAccess> {
  return openContext(await readKubeconfigs(where.kubeconfig), where.context);
}

/**
 * Opens the context that seems to be of the cluster with this id: the one of that name, or else the first whose name
 * ends with it, as tools name theirs (`kind-west`, `admin@west`). A name proves nothing: ask `readClusterId`. Throws a
 * UserError as `openCluster`.
 */
export async function openClusterById(id: string, kubeconfig: string | undefined): Promise<ClusterAccess> {
  const files = await readKubeconfigs(kubeconfig);
  const names = contextNames(files);
  const context = names.includes(id)
    ? id
    : names.find((name) => name.endsWith(id) && /[-_@:/.]/.test(name.at(-id.length - 1) ?? ''));
  return openContext(files, context ?? id);
}

async function openContext(
  files: readonly KubeconfigFile[],
  wanted: string | undefined,
): Promise<ClusterAccess> {
  const { context, config } = await clientConfig(files, wanted);
  return { context, config, client: cliClient(config) };
}

/** As client-go. */
const THROTTLED_RETRIES = 10;

/** A client for commands: nobody comes again for them when a busy API server turns a call away. */
export function cliClient(config: ClientConfig): KubernetesClient {
  return createClient(config, { userAgent: 'isthmus-cli', throttledRetries: THROTTLED_RETRIES });
}

/** A kind that is not served: an unknown group is answered without a Status, an unknown kind with one that names no object. */
function isNotServed(error: KubernetesError): boolean {
  return error.code === 404 && (error.status === undefined || error.status.details?.name === undefined);
}

/** Runs a call and turns "no answer" and "not allowed" into words for the person who named the context. */
export async function asUser<T>(cluster: ClusterAccess, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof KubernetesError)) throw error;
    if (error.code === 0) {
      throw new UserError(
        `the API of context "${cluster.context}" (${cluster.config.server}) cannot be reached: ${error.message}`,
        'Is the cluster up, and is the address right?',
        { cause: error },
      );
    }
    if (isNotServed(error)) {
      throw new UserError(
        `the API of context "${cluster.context}" does not know a kind that is needed: ${error.message}`,
        'Is the mesh installed there, with its CustomResourceDefinitions? `isthmus install` makes them.',
        { cause: error },
      );
    }
    if (error.code === 401) {
      throw new UserError(
        `the API of context "${cluster.context}" does not accept the credentials: ${error.message}`,
        'Is the token or certificate of that user expired?',
        { cause: error },
      );
    }
    if (error.code === 403) {
      throw new UserError(
        `the user of context "${cluster.context}" may not do this: ${error.message}`,
        'Ask for the rights, or use another context.',
        { cause: error },
      );
    }
    throw error;
  }
}

/** The cluster's id, or undefined when no mesh has been installed there. */
export async function readClusterId(cluster: ClusterAccess): Promise<string | undefined> {
  try {
    const property = await cluster.client.get(resources.clusterProperties, undefined, CLUSTER_ID_PROPERTY);
    return property.spec?.value;
  } catch (error) {
    if (error instanceof KubernetesError && error.code === 404) return undefined;
    throw error;
  }
}

/** As readClusterId, but a cluster without a mesh is an error. */
export async function requireClusterId(cluster: ClusterAccess): Promise<string> {
  const id = await readClusterId(cluster);
  if (id === undefined) {
    throw new UserError(
      `the cluster of context "${cluster.context}" has no mesh`,
      `Run \`isthmus install --context ${cluster.context} --cluster-name NAME\` first.`,
    );
  }
  return id;
}
