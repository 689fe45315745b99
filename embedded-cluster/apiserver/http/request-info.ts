/** What a path asks for (apiserver `pkg/endpoints/request`). */
export type RequestInfo =
  | {
      kind: 'resource';
      group: string;
      version: string;
      namespace: string | undefined;
      plural: string;
      /** '' for the collection. */
      name: string;
      subresource: string;
    }
  /** `/healthz`, `/apis/apps/v1` and everything else that is no resource. */
  | { kind: 'path'; path: string };

/** The deprecated `/api/v1/watch/…` as what it stands for: the path without `watch`, and the query that means the same (set in place). */
export function withoutWatchPrefix(path: string, query: URLSearchParams): string {
  const parts = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/watch(\/.+)$/.exec(path);
  if (parts === null) return path;
  const [, root = '', rest = ''] = parts;
  query.set('watch', '1');
  const info = parsePath(root + rest);
  if (info?.kind !== 'resource' || info.name === '') return root + rest;
  query.set('fieldSelector', `metadata.name=${info.name}`);
  return root + rest.slice(0, rest.lastIndexOf('/'));
}

/** Reads the path of an URL, without its query; undefined when its escapes are malformed. */
export function parsePath(path: string): RequestInfo | undefined {
  let parts: string[];
  try {
    parts = path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const other: RequestInfo = { kind: 'path', path };
  const [root] = parts;
  if (root !== 'api' && root !== 'apis') return other;
  const group = root === 'api' ? '' : (parts[1] ?? '');
  const rest = parts.slice(root === 'api' ? 1 : 2);
  const [version, ...resource] = rest;
  if (version === undefined || resource.length === 0) return other;
  const namespaced =
    resource[0] === 'namespaces' && resource.length > 2 && !NAMESPACE_SUBRESOURCES.has(resource[2] ?? '');
  const namespace = namespaced ? resource[1] : undefined;
  const [plural = '', name = '', ...subresource] = namespaced ? resource.slice(2) : resource;
  if (subresource.length > 1 && subresource[0] !== 'proxy') return other;
  return { kind: 'resource', group, version, namespace, plural, name, subresource: subresource[0] ?? '' };
}

/** `/api/v1/namespaces/x/status` is about the namespace, not a resource in it. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);
