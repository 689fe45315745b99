import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { CLUSTER_ID_PROPERTY } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { resources } from '../kubernetes/resources.ts';
import { type ClientConfig, type KubernetesClient, KubernetesError } from '../kubernetes/types.ts';
import { UserError } from './errors.ts';

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
  const kubeConfig = await readKubeconfig(where.kubeconfig);
  const context = where.context ?? kubeConfig.getCurrentContext();
  if (context === undefined || context === '') {
    throw new UserError(
      'the kubeconfig has no current context',
      `Name one with --context: ${contextNames(kubeConfig)}.`,
    );
  }
  if (kubeConfig.getContextObject(context) === null) {
    throw new UserError(
      `context "${context}" is not in the kubeconfig`,
      `There are: ${contextNames(kubeConfig)}.`,
    );
  }
  kubeConfig.setCurrentContext(context);
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) {
    throw new UserError(
      `context "${context}" names a cluster that is not in the kubeconfig`,
      'Mend the `cluster` of that context.',
    );
  }
  const config = await clientConfig(kubeConfig, cluster.server);
  return { context, config, client: cliClient(config) };
}

/**
 * Opens the context that seems to be of the cluster with this id: the one of that name, or else the first whose name ends with it, as tools name theirs (`kind-west`, `admin@west`). A name
 * proves nothing: ask `readClusterId`. Throws a UserError as `openCluster`.
 */
export async function openClusterById(id: string, kubeconfig: string | undefined): Promise<ClusterAccess> {
  const names = (await readKubeconfig(kubeconfig)).contexts.map(({ name }) => name);
  const context = names.includes(id)
    ? id
    : names.find((name) => name.endsWith(id) && /[-_@:/.]/.test(name.at(-id.length - 1) ?? ''));
  return openCluster({ context: context ?? id, kubeconfig });
}

/** The kubeconfig files of the flag, `$KUBECONFIG` or the home folder, merged as kubectl merges them. */
async function readKubeconfig(file: string | undefined): Promise<KubeConfig> {
  const paths = kubeconfigPaths(file);
  const { KubeConfig } = await import('@kubernetes/client-node');
  const kubeConfig = new KubeConfig();
  let found = 0;
  for (const path of paths) {
    try {
      const text = await readFile(path, 'utf8');
      const one = new KubeConfig();
      one.loadFromString(text);
      one.makePathsAbsolute(join(path, '..'));
      // As kubectl merges: of two entries with the same name the first counts.
      kubeConfig.loadFromOptions({
        clusters: joined(kubeConfig.clusters, one.clusters),
        users: joined(kubeConfig.users, one.users),
        contexts: joined(kubeConfig.contexts, one.contexts),
        currentContext: kubeConfig.currentContext || one.currentContext,
      });
      found++;
    } catch (error) {
      if (isMissing(error) && file === undefined) continue;
      const why = error instanceof Error ? error.message : String(error);
      throw new UserError(
        `kubeconfig ${path} cannot be read: ${why}`,
        'Name a readable kubeconfig with --kubeconfig or $KUBECONFIG.',
      );
    }
  }
  if (found === 0) {
    throw new UserError(
      `no kubeconfig at ${paths.join(', ')}`,
      'Name one with --kubeconfig, or make a cluster with `isthmus cluster create NAME`.',
    );
  }
  return kubeConfig;
}

/** As client-go. */
const THROTTLED_RETRIES = 10;

/** A client for commands: nobody comes again for them when a busy API server turns a call away. */
export function cliClient(config: ClientConfig): KubernetesClient {
  return createClient(config, { userAgent: 'isthmus-cli', throttledRetries: THROTTLED_RETRIES });
}

function joined<T extends { name: string }>(first: readonly T[] | null, then: readonly T[]): T[] {
  const present = first ?? [];
  return [...present, ...then.filter(({ name }) => !present.some((entry) => entry.name === name))];
}

function kubeconfigPaths(flag: string | undefined): string[] {
  if (flag !== undefined) return [flag];
  const fromEnv = (process.env['KUBECONFIG'] ?? '').split(delimiter).filter((p) => p !== '');
  return fromEnv.length > 0 ? fromEnv : [join(homedir(), '.kube', 'config')];
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function contextNames(kubeConfig: { contexts: readonly { name: string }[] }): string {
  return kubeConfig.contexts.map((c) => c.name).join(', ') || 'none';
}

/** client-node resolves files, exec plug-ins and auth providers; what it comes to is all that we take over. */
async function clientConfig(
  kubeConfig: { applyToHTTPSOptions(options: RequestOptions): Promise<void> },
  server: string,
): Promise<ClientConfig> {
  const resolve = async (): Promise<RequestOptions> => {
    const options: RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(options);
    return options;
  };
  let options: RequestOptions;
  try {
    options = await resolve();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `the kubeconfig's credentials cannot be used: ${why}`,
      'Mend the `user` of that context.',
    );
  }
  const config: ClientConfig = { server: server.replace(/\/+$/, '') };
  if (isPem(options.ca)) config.ca = options.ca.toString();
  if (options.servername !== undefined) config.serverName = options.servername;
  if (isPem(options.cert) && isPem(options.key)) {
    config.auth = { kind: 'certificate', cert: options.cert.toString(), key: options.key.toString() };
  } else {
    config.auth = {
      kind: 'headers',
      headers: async () => {
        const headers = (await resolve()).headers ?? {};
        return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
      },
    };
  }
  return config;
}

function isPem(value: unknown): value is string | Buffer {
  return typeof value === 'string' || Buffer.isBuffer(value);
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
