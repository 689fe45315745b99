import type { ResourceType } from '../../types.ts';
import { apiVersionOf, type Registry } from '../registry.ts';

/** What is served, told in the three ways in which clients ask. */

/** `/api` of those that don't ask for the aggregated form. */
export function legacyVersions(serverAddress: string): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

function groupOf(group: string, versions: readonly string[]): object {
  const entries = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: entries, preferredVersion: entries[0] };
}

/** `/apis`. */
export function groupList(registry: Registry): object {
  const groups = sortedGroups(registry).filter(([group]) => group !== '');
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map(([group, versions]) => groupOf(group, versions)),
  };
}

/** `/apis/<group>`; undefined when it is not served. */
export function group(registry: Registry, name: string): object | undefined {
  const versions = registry.groups().get(name);
  if (versions === undefined || name === '') return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(name, versions) };
}

/** `/api/v1`, `/apis/<group>/<version>`; undefined when it is not served. */
export function resourceList(registry: Registry, groupName: string, version: string): object | undefined {
  const resources = resourcesOf(registry, groupName, version);
  if (resources.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    ...(groupName === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: apiVersionOf({ group: groupName, version }),
    resources: resources.flatMap((resource) => [
      {
        name: resource.plural,
        singularName: resource.singular,
        namespaced: resource.namespaced,
        kind: resource.kind,
        verbs: resource.verbs,
        ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
        ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
      },
      ...resource.subresources.map((subresource) => ({
        name: `${resource.plural}/${subresource.name}`,
        singularName: '',
        namespaced: resource.namespaced,
        ...(subresource.group === undefined ? {} : { group: subresource.group }),
        ...(subresource.version === undefined ? {} : { version: subresource.version }),
        kind: subresource.kind,
        verbs: subresource.verbs,
      })),
    ]),
  };
}

/** `/api` and `/apis` in the aggregated form (KEP-3352): every resource of every group in one answer. */
export function aggregated(registry: Registry, core: boolean): object {
  const groups = sortedGroups(registry).filter(([name]) => (name === '') === core);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(([name, versions]) => ({
      metadata: { ...(name === '' ? {} : { name }), creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        resources: resourcesOf(registry, name, version).map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
  };
}

function aggregatedResource(resource: ResourceType): object {
  // Built-in kinds are named without their group and version where these are the resource's own.
  const own = resource.custom ? resource.group : '';
  const version = resource.custom ? resource.version : '';
  return {
    resource: resource.plural,
    responseKind: { group: own, version, kind: resource.kind },
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
    ...(resource.subresources.length === 0
      ? {}
      : {
          subresources: resource.subresources.map((subresource) => ({
            subresource: subresource.name,
            responseKind: {
              group: subresource.group ?? own,
              version: subresource.version ?? version,
              kind: subresource.kind,
            },
            verbs: subresource.verbs,
          })),
        }),
  };
}

function resourcesOf(registry: Registry, groupName: string, version: string): ResourceType[] {
  return registry
    .all()
    .map(({ resource }) => resource)
    .filter((resource) => resource.group === groupName && resource.version === version)
    .sort((a, b) => (a.plural < b.plural ? -1 : 1));
}

/** Core first, then the groups by name with custom ones among them; kubectl takes the first group that has a short name. */
function sortedGroups(registry: Registry): [string, string[]][] {
  const builtin = new Set(
    registry
      .all()
      .filter(({ resource }) => !resource.custom)
      .map(({ resource }) => resource.group),
  );
  return [...registry.groups().entries()].sort(([a], [b]) => {
    if (builtin.has(a) !== builtin.has(b)) return builtin.has(a) ? -1 : 1;
    return a < b ? -1 : 1;
  });
}
