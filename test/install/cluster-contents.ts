import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import type { KubernetesClient, Resource } from '../../kubernetes/types.ts';
import { eventually } from '../cluster/harness.ts';

/** What a cluster writes by itself at any time. */
const RESTLESS = new Set(['events', 'leases', 'componentstatuses']);

interface Discovered {
  name: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
}

/**
 * Every object of a cluster, of every kind that can be listed, by `kind.group namespace/name`; with its resource
 * version as the value. Left out are the namespaces `except`, and what is in them. A kind that comes or goes meanwhile
 * may be named by discovery and not be served: all is read again then.
 */
export function clusterContents(
  client: KubernetesClient,
  except: ReadonlySet<string> = new Set(),
): Promise<Map<string, string>> {
  return eventually('every kind that discovery names to be served', () => contentsAtOnce(client, except));
}

async function contentsAtOnce(
  client: KubernetesClient,
  except: ReadonlySet<string>,
): Promise<Map<string, string>> {
  const kinds = await listableKinds(client);
  const lists = await Promise.all(
    kinds.map(async (resource) => {
      const { items } = await client.list<KubernetesObject>(resource);
      return items
        .filter(({ metadata }) => !except.has(namespaceOf(resource, metadata)))
        .map(({ metadata }): [string, string] => [
          `${resource.plural}.${resource.group} ${metadata?.namespace ?? ''}/${metadata?.name}`,
          metadata?.resourceVersion ?? '',
        ]);
    }),
  );
  return new Map(lists.flat());
}

function namespaceOf(resource: Resource, metadata: KubernetesObject['metadata']): string {
  const isNamespace = resource.group === '' && resource.plural === 'namespaces';
  return (isNamespace ? metadata?.name : metadata?.namespace) ?? '';
}

async function listableKinds(client: KubernetesClient): Promise<Resource[]> {
  const { groups } = await client.raw<{
    groups: { name: string; preferredVersion: { version: string } }[];
  }>('GET', '/apis');
  const all = [
    { group: '', version: 'v1', path: '/api/v1' },
    ...groups.map(({ name, preferredVersion: { version } }) => ({
      group: name,
      version,
      path: `/apis/${name}/${version}`,
    })),
  ];
  const kinds = await Promise.all(
    all.map(async ({ group, version, path }) => {
      const { resources } = await client.raw<{ resources: Discovered[] }>('GET', path);
      return resources
        .filter(({ name, verbs }) => verbs.includes('list') && !RESTLESS.has(name))
        .map(({ name, kind, namespaced }) => ({ group, version, plural: name, kind, namespaced }));
    }),
  );
  return kinds.flat();
}

/** What is only in one of two pictures of a cluster, or changed between them. */
export function differences(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string[] {
  const gone = [...before.keys()].filter((key) => !after.has(key)).map((key) => `gone: ${key}`);
  const changed = [...after].flatMap(([key, version]) => {
    const earlier = before.get(key);
    if (earlier === undefined) return [`new: ${key}`];
    return earlier === version ? [] : [`changed: ${key}`];
  });
  return [...gone, ...changed].sort();
}
