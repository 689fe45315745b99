import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as yaml from 'js-yaml';
import { UserError } from '../errors.ts';

interface Named {
  name: string;
}

interface Kubeconfig {
  apiVersion?: string;
  kind?: string;
  clusters?: Named[];
  users?: Named[];
  contexts?: Named[];
  'current-context'?: string;
}

/** kubectl gives up on a kubeconfig's lock after this long, too. */
const LOCK_TIMEOUT_MS = 5_000;

/** The file that is written: `--kubeconfig`, the first of $KUBECONFIG, or ~/.kube/config, as kubectl chooses. */
function targetFile(flag: string | undefined): string {
  const first = (process.env['KUBECONFIG'] ?? '').split(delimiter).find((path) => path !== '');
  return flag ?? first ?? join(homedir(), '.kube', 'config');
}

/** Adds a cluster's entries (all called `name`) to the kubeconfig and makes its context the current one. Answers the file's path. */
export async function mergeIntoKubeconfig(
  name: string,
  clusterKubeconfig: string,
  flag: string | undefined,
): Promise<string> {
  const added = yaml.load(clusterKubeconfig) as Kubeconfig;
  return change(flag, (config) => {
    for (const list of ['clusters', 'users', 'contexts'] as const) {
      config[list] = [...without(config[list], name), ...(added[list] ?? [])];
    }
    config['current-context'] = name;
  });
}

/** Takes the entries called `name` out of the kubeconfig. */
export async function removeFromKubeconfig(name: string, flag: string | undefined): Promise<void> {
  await change(flag, (config) => {
    for (const list of ['clusters', 'users', 'contexts'] as const) config[list] = without(config[list], name);
    if (config['current-context'] === name) config['current-context'] = '';
  });
}

function without(entries: Named[] | undefined, name: string): Named[] {
  return (entries ?? []).filter((entry) => entry.name !== name);
}

async function change(flag: string | undefined, edit: (config: Kubeconfig) => void): Promise<string> {
  const file = targetFile(flag);
  await mkdir(dirname(file), { recursive: true });
  const unlock = await lock(file);
  try {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const config = (text.trim() === '' ? undefined : (yaml.load(text) as Kubeconfig | null)) ?? {
      apiVersion: 'v1',
      kind: 'Config',
    };
    edit(config);
    const draft = `${file}.${process.pid}.tmp`;
    await writeFile(draft, yaml.dump(config, { noRefs: true, lineWidth: -1 }), { mode: 0o600 });
    await rename(draft, file);
  } finally {
    await unlock();
  }
  return file;
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
