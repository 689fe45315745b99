import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { load } from 'js-yaml';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';

/** A cluster as a process of its own, which a test may kill. */
export interface ClusterProcess {
  child: ChildProcess;
  url: string;
  /** Path of the file. */
  kubeconfig: string;
}

export const CLUSTER_MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Starts a cluster with a configuration file, by way of the command `through` if there is one; resolves when it is ready. */
export async function startClusterProcess(
  config: string,
  through: readonly string[] = [],
): Promise<ClusterProcess> {
  const [file, ...args] = [...through, process.execPath, CLUSTER_MAIN, '--config', config];
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ISTHMUS_LOG_LEVEL: 'error' },
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { url, kubeconfig } = JSON.parse(line) as { url: string; kubeconfig: string };
  return { child, url, kubeconfig };
}

/** One call of the API with the kubeconfig's own certificate. */
export async function call(
  cluster: ClusterProcess,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const response = await send(cluster, method, path, body);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) };
}

/** Resolves with an object of the collection at `path` as soon as it is as `wanted` (`undefined`: it does not exist). */
export async function eventually<T extends KubernetesObject>(
  cluster: ClusterProcess,
  path: string,
  name: string,
  wanted: (object: T | undefined) => boolean,
): Promise<T | undefined> {
  const list = (await call(cluster, 'GET', path)).body as {
    items: T[];
    metadata: { resourceVersion: string };
  };
  const found = list.items.find((item) => item.metadata?.name === name);
  if (wanted(found)) return found;
  const query = `watch=true&resourceVersion=${list.metadata.resourceVersion}&fieldSelector=metadata.name%3D${name}`;
  const response = await send(cluster, 'GET', `${path}?${query}`);
  try {
    for await (const line of createInterface(response)) {
      const { type, object } = JSON.parse(line) as { type: string; object: T };
      const now = type === 'DELETED' ? undefined : object;
      if (wanted(now)) return now;
    }
  } finally {
    response.destroy();
  }
  throw new Error(`the watch of ${path} ended`);
}

function send(
  cluster: ClusterProcess,
  method: string,
  path: string,
  body?: unknown,
): Promise<IncomingMessage> {
  const config = load(readFileSync(cluster.kubeconfig, 'utf8')) as {
    clusters: { cluster: Record<string, string> }[];
    users: { user: Record<string, string> }[];
  };
  const decode = (text = ''): Buffer => Buffer.from(text, 'base64');
  const server = config.clusters[0]?.cluster;
  const user = config.users[0]?.user;
  const payload = body === undefined ? '' : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const options = {
      method,
      agent: false,
      ca: decode(server?.['certificate-authority-data']),
      cert: decode(user?.['client-certificate-data']),
      key: decode(user?.['client-key-data']),
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
    };
    const request = https.request(new URL(path, cluster.url), options, resolve);
    request.once('error', reject);
    request.end(payload);
  });
}

/** Resolves when what other processes do to files beside `file` has made `wanted` true. */
export async function fileShows(file: string, wanted: () => boolean): Promise<void> {
  const watcher = watch(dirname(file));
  try {
    while (!wanted()) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}
