import type { KubernetesObject, Pod } from '../../api/kubernetes-types.ts';
import type { Cleaner } from '../../test/testing/cleaner.ts';
import { startCluster } from '../index.ts';
import type { EmbeddedCluster, LocalImages } from '../index.ts';
import type { LoopbackClient, StoredObject } from '../types.ts';

/** Images whose command is a shell or Node script given by the pod. */
export const scriptImages: LocalImages = {
  sh: { command: ['/bin/sh', '-c'] },
  node: { command: [process.execPath, '-e'] },
};

/** A cluster in this process that has what every pod needs of its namespace; stopped after the test. */
export async function runningCluster(cleaner: Cleaner, dataDir: string): Promise<EmbeddedCluster> {
  const cluster = await startCluster({ name: 'test', dataDir, images: scriptImages });
  cleaner.after(() => cluster.stop(0));
  await until(cluster.loopback, 'serviceaccounts', 'default', (account) => account !== undefined);
  await until(cluster.loopback, 'configmaps', 'kube-root-ca.crt', (map) => map !== undefined);
  return cluster;
}

/** A test that waits this long is broken; it then fails by saying what it waited for. */
const LIMIT_MS = 60_000;

/** Resolves with the object as soon as `wanted` holds for it (`undefined`: it does not exist). Driven by the watch, not by time. */
export function until(
  client: LoopbackClient,
  resource: string,
  name: string,
  wanted: (object: StoredObject | undefined) => boolean,
  namespace = 'default',
): Promise<StoredObject | undefined> {
  return new Promise((resolve, reject) => {
    const { items, resourceVersion } = client.list(resource, { namespace });
    const found = items.find((item) => item.metadata.name === name);
    if (wanted(found)) {
      resolve(found);
      return;
    }
    let last = found;
    const limit = setTimeout(() => {
      watch.close();
      reject(new Error(`waited in vain for ${resource}/${name}; last seen: ${JSON.stringify(last)}`));
    }, LIMIT_MS);
    const watch = client.watch(resource, { namespace, resourceVersion }, (event) => {
      if (event.type === 'BOOKMARK' || event.object.metadata.name !== name) return;
      last = event.type === 'DELETED' ? undefined : event.object;
      if (!wanted(last)) return;
      clearTimeout(limit);
      watch.close();
      resolve(last);
    });
  });
}

export function isPodReady(object: KubernetesObject | undefined): boolean {
  const pod: Pod | undefined = object;
  return (pod?.status?.conditions ?? []).some((c) => c.type === 'Ready' && c.status === 'True');
}

export function pod(name: string, spec: Pod['spec']): KubernetesObject {
  const object: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' } };
  if (spec !== undefined) object.spec = { terminationGracePeriodSeconds: 5, ...spec };
  return object;
}

/** The lines that match, of a file that the pods of a test append to. */
export function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
