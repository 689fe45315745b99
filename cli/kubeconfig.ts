import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import * as yaml from 'js-yaml';
import { CredentialsError, inlineCredentials } from '../kubernetes/credentials.ts';
import type { ClientConfig } from '../kubernetes/types.ts';
import { UserError } from './errors.ts';
import { homeFolder } from './home-folder.ts';
import { tokenFromFile } from './token-file.ts';

/** A kubeconfig file of the user, as it was read. */
export interface KubeconfigFile {
  readonly path: string;
  readonly text: string;
}

/** How a context's cluster is reached. */
export interface ContextConfig {
  readonly context: string;
  readonly config: ClientConfig;
}

/** The kubeconfig files of the flag, `$KUBECONFIG` or the home folder. Throws a UserError when none is there. */
export async function readKubeconfigs(flag: string | undefined): Promise<KubeconfigFile[]> {
  const paths = kubeconfigPaths(flag);
  const files: KubeconfigFile[] = [];
  for (const path of paths) {
    try {
      files.push({ path, text: await readFile(path, 'utf8') });
    } catch (error) {
      if (!(isMissing(error) && flag === undefined)) throw unreadable(path, error);
    }
  }
  if (files.length === 0) {
    throw new UserError(
      `no kubeconfig at ${paths.join(', ')}`,
      'Name one with --kubeconfig, or make a cluster with `isthmus cluster create NAME`.',
    );
  }
  return files;
}

/** Names of all contexts; none where a file cannot be understood, which `clientConfig` says. */
export function contextNames(files: readonly KubeconfigFile[]): string[] {
  return merged(files)?.contexts.map(({ name }) => name) ?? [];
}

/**
 * How the cluster of a context, or of the current one, is reached. A context that holds all of it, as those of kind and
 * of embedded clusters, is read by ourselves: client-node takes half a second of processor time to load, and is asked
 * for what else there is (files, programs, providers), and for what is wrong. `tokenFile` it does not know. Throws a
 * UserError that names what is missing.
 */
export async function clientConfig(
  files: readonly KubeconfigFile[],
  wanted: string | undefined,
): Promise<ContextConfig> {
  const tokenFile = tokenFileOf(files, wanted);
  if (tokenFile === undefined) return inlineConfig(files, wanted) ?? loadedConfig(files, wanted);
  const token = tokenFromFile(tokenFile);
  const found = inlineConfig(files, wanted, await token()) ?? (await loadedConfig(files, wanted));
  return { ...found, config: { ...found.config, auth: { kind: 'token', token } } };
}

/** An entry of one of a kubeconfig's lists: a name, and beside it what it names. */
interface Entry {
  readonly name: string;
  readonly [field: string]: unknown;
}

/** The lists of all files one after the other: as kubectl merges, of two entries with the same name the first counts. */
interface Merged {
  readonly currentContext: string;
  readonly contexts: readonly Entry[];
  readonly clusters: readonly Entry[];
  readonly users: readonly Entry[];
}

/** What a context consists of. */
interface Chosen {
  readonly context: Entry;
  readonly cluster: Entry | undefined;
  readonly user: Entry | undefined;
}

function chosen(files: readonly KubeconfigFile[], wanted: string | undefined): Chosen | undefined {
  const all = merged(files);
  const context = all?.contexts.find(({ name }) => name === (wanted ?? all.currentContext));
  if (all === undefined || context === undefined) return undefined;
  const named = (context['context'] ?? {}) as Record<string, unknown>;
  return {
    context,
    cluster: all.clusters.find(({ name }) => name === named['cluster']),
    user: all.users.find(({ name }) => name === named['user']),
  };
}

/** @param token that of the user's `tokenFile`, which goes before its `token` */
function inlineConfig(
  files: readonly KubeconfigFile[],
  wanted: string | undefined,
  token?: string,
): ContextConfig | undefined {
  const found = chosen(files, wanted);
  if (found === undefined) return undefined;
  const { context, cluster, user } = found;
  const { tokenFile: _, ...fields } = (user?.['user'] ?? {}) as Record<string, unknown>;
  const own = token === undefined ? user : { ...user, user: { ...fields, token } };
  try {
    const config = inlineCredentials({
      'current-context': context.name,
      contexts: [context],
      clusters: cluster === undefined ? [] : [cluster],
      users: own === undefined ? [] : [own],
    });
    return { context: context.name, config };
  } catch (error) {
    if (error instanceof CredentialsError) return undefined;
    throw error;
  }
}

/** Absolute path of the context's `tokenFile`; undefined: it has none. As with kubectl it stands beside the kubeconfig that names it. */
function tokenFileOf(files: readonly KubeconfigFile[], wanted: string | undefined): string | undefined {
  const user = chosen(files, wanted)?.user;
  const tokenFile = (user?.['user'] as Record<string, unknown> | undefined)?.['tokenFile'];
  if (user === undefined || typeof tokenFile !== 'string' || tokenFile === '') return undefined;
  const from = files.find((file) => merged([file])?.users.some(({ name }) => name === user.name));
  return resolve(dirname(from?.path ?? '.'), tokenFile);
}

/** undefined when a file is none of a kubeconfig's shape. */
function merged(files: readonly KubeconfigFile[]): Merged | undefined {
  const documents: Record<string, unknown>[] = [];
  for (const { text } of files) {
    const document = parsed(text);
    if (typeof document !== 'object' || document === null) return undefined;
    documents.push(document as Record<string, unknown>);
  }
  const list = (name: string): unknown[] => documents.map((document) => document[name] ?? []).flat();
  const [contexts, clusters, users] = [list('contexts'), list('clusters'), list('users')];
  if (!areEntries(contexts) || !areEntries(clusters) || !areEntries(users)) return undefined;
  const current = documents.map((document) => document['current-context']).find(Boolean);
  return { currentContext: typeof current === 'string' ? current : '', contexts, clusters, users };
}

function parsed(text: string): unknown {
  try {
    return yaml.load(text);
  } catch {
    return undefined;
  }
}

function areEntries(list: readonly unknown[]): list is Entry[] {
  return list.every(
    (entry) =>
      typeof entry === 'object' && entry !== null && typeof (entry as Partial<Entry>).name === 'string',
  );
}

async function loadedConfig(
  files: readonly KubeconfigFile[],
  wanted: string | undefined,
): Promise<ContextConfig> {
  const kubeConfig = await load(files);
  const names = kubeConfig.contexts.map((c) => c.name).join(', ') || 'none';
  const context = wanted ?? kubeConfig.getCurrentContext();
  if (context === undefined || context === '') {
    throw new UserError('the kubeconfig has no current context', `Name one with --context: ${names}.`);
  }
  if (kubeConfig.getContextObject(context) === null) {
    throw new UserError(`context "${context}" is not in the kubeconfig`, `There are: ${names}.`);
  }
  kubeConfig.setCurrentContext(context);
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) {
    throw new UserError(
      `context "${context}" names a cluster that is not in the kubeconfig`,
      'Mend the `cluster` of that context.',
    );
  }
  return { context, config: await resolvedConfig(kubeConfig, cluster.server) };
}

async function load(files: readonly KubeconfigFile[]): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const kubeConfig = new KubeConfig();
  for (const { path, text } of files) {
    try {
      const one = new KubeConfig();
      one.loadFromString(text);
      one.makePathsAbsolute(join(path, '..'));
      kubeConfig.loadFromOptions({
        clusters: joined(kubeConfig.clusters, one.clusters),
        users: joined(kubeConfig.users, one.users),
        contexts: joined(kubeConfig.contexts, one.contexts),
        currentContext: kubeConfig.currentContext || one.currentContext,
      });
    } catch (error) {
      throw unreadable(path, error);
    }
  }
  return kubeConfig;
}

function joined<T extends { name: string }>(first: readonly T[] | null, then: readonly T[]): T[] {
  const present = first ?? [];
  return [...present, ...then.filter(({ name }) => !present.some((entry) => entry.name === name))];
}

/** client-node resolves files, exec plug-ins and auth providers; what it comes to is all that we take over. */
async function resolvedConfig(
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

function kubeconfigPaths(flag: string | undefined): string[] {
  if (flag !== undefined) return [flag];
  const fromEnv = (process.env['KUBECONFIG'] ?? '').split(delimiter).filter((p) => p !== '');
  return fromEnv.length > 0 ? fromEnv : [join(homeFolder(), '.kube', 'config')];
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function unreadable(path: string, error: unknown): UserError {
  const why = error instanceof Error ? error.message : String(error);
  return new UserError(
    `kubeconfig ${path} cannot be read: ${why}`,
    'Name a readable kubeconfig with --kubeconfig or $KUBECONFIG.',
  );
}
