import { existsSync } from 'node:fs';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as yaml from 'js-yaml';
import { UserError } from '../errors.ts';
import { homeFolder } from '../home-folder.ts';
import { makeFolder } from '../make-folder.ts';

interface Named {
  name: string;
}

interface NamedCluster extends Named {
  cluster?: { 'certificate-authority-data'?: string };
}

interface Context extends Named {
  context?: { cluster?: string; user?: string };
}

interface Kubeconfig {
  apiVersion?: string;
  kind?: string;
  clusters?: NamedCluster[];
  users?: Named[];
  contexts?: Context[];
  'current-context'?: string;
}

/** kubectl gives up on a kubeconfig's lock after this long, too. */
const LOCK_TIMEOUT_MS = 5_000;

/** The file that is written: `--kubeconfig`, the first of $KUBECONFIG, or ~/.kube/config, as kubectl chooses. */
function targetFile(flag: string | undefined): string {
  const first = (process.env['KUBECONFIG'] ?? '').split(delimiter).find((path) => path !== '');
  return flag ?? first ?? join(homeFolder(), '.kube', 'config');
}

/**
 * Adds a cluster's entries to the kubeconfig and makes its context the current one. Answers the file's path. Throws a
 * UserError when a context of that name leads to another cluster: that one is left as it is.
 */
export async function mergeIntoKubeconfig(
  clusterKubeconfig: string,
  flag: string | undefined,
): Promise<string> {
  const added = yaml.load(clusterKubeconfig) as Kubeconfig;
  const file = targetFile(flag);
  await change(file, (config) => {
    const name = added['current-context'] ?? '';
    if (hasEntries(config, added) && !isSameCluster(config, added)) {
      throw new UserError(
        `${file} has a context "${name}" that leads to another cluster; it is left as it is`,
        'Use another file with --kubeconfig or $KUBECONFIG; if that entry is left over, remove it with `kubectl config delete-cluster`.',
      );
    }
    config.apiVersion ??= 'v1';
    config.kind ??= 'Config';
    removeEntries(config, added);
    config.clusters = [...(config.clusters ?? []), ...(added.clusters ?? [])];
    config.users = [...(config.users ?? []), ...(added.users ?? [])];
    config.contexts = [...(config.contexts ?? []), ...(added.contexts ?? [])];
    config['current-context'] = name;
    return config;
  });
  return file;
}

/** Takes a cluster's entries out of the kubeconfig; those of the same names that lead to another cluster stay. */
export async function removeFromKubeconfig(
  clusterKubeconfig: string,
  flag: string | undefined,
): Promise<void> {
  const removed = yaml.load(clusterKubeconfig) as Kubeconfig;
  const file = targetFile(flag);
  if (!existsSync(file)) return;
  await change(file, (config) => {
    if (!isSameCluster(config, removed)) return undefined;
    removeEntries(config, removed);
    if (config['current-context'] === removed['current-context']) config['current-context'] = '';
    return config;
  });
}

const LISTS = ['clusters', 'users', 'contexts'] as const;

function namesIn(config: Kubeconfig, list: (typeof LISTS)[number]): Set<string> {
  return new Set((config[list] ?? []).map((entry) => entry.name));
}

function hasEntries(config: Kubeconfig, of: Kubeconfig): boolean {
  return LISTS.some((list) => !namesIn(config, list).isDisjointFrom(namesIn(of, list)));
}

/** A cluster's address may change with a start; its authority never does. */
function isSameCluster(config: Kubeconfig, other: Kubeconfig): boolean {
  const authority = other.clusters?.[0]?.cluster?.['certificate-authority-data'];
  const present = config.clusters?.find((entry) => entry.name === other.clusters?.[0]?.name);
  return authority !== undefined && present?.cluster?.['certificate-authority-data'] === authority;
}

function removeEntries(config: Kubeconfig, of: Kubeconfig): void {
  config.clusters = (config.clusters ?? []).filter((entry) => !namesIn(of, 'clusters').has(entry.name));
  config.users = (config.users ?? []).filter((entry) => !namesIn(of, 'users').has(entry.name));
  config.contexts = (config.contexts ?? []).filter((entry) => !namesIn(of, 'contexts').has(entry.name));
}

/** `edit` answers what is to be written, or undefined when the file stays. */
async function change(file: string, edit: (config: Kubeconfig) => Kubeconfig | undefined): Promise<void> {
  await makeFolder(dirname(file));
  const unlock = await lock(file);
  try {
    const edited = edit(await read(file));
    if (edited === undefined) return;
    const draft = `${file}.${process.pid}.tmp`;
    await writeFile(draft, yaml.dump(edited, { noRefs: true, lineWidth: -1 }), { mode: 0o600 });
    await rename(draft, file);
  } finally {
    await unlock();
  }
}

async function read(file: string): Promise<Kubeconfig> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  try {
    return (yaml.load(text.trim() === '' ? '{}' : text) as Kubeconfig | null) ?? {};
  } catch (error) {
    throw new UserError(
      `kubeconfig ${file} is no YAML: ${error instanceof Error ? error.message : String(error)}`,
      'Mend it, or use another file with --kubeconfig.',
      { cause: error },
    );
  }
}

/** kubectl's own way: a file `<kubeconfig>.lock` that only one can create. */
async function lock(file: string): Promise<() => Promise<void>> {
  const path = `${file}.lock`;
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    try {
      await (await open(path, 'wx')).close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (performance.now() > deadline) {
        throw new UserError(`${file} is locked by another program`, `If none is running, remove ${path}.`);
      }
      await delay(100);
    }
  }
}
