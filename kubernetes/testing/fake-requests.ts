import { matchesSelector, parseSelector } from '../labels.ts';
import { Refusal, type Stored } from './fake-storage.ts';

/** A request as the fake saw it. */
export interface SeenRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  authorization: string | undefined;
  userAgent: string | undefined;
}

/** What a request is about. */
export interface Target {
  /** Path of the whole collection, in all namespaces. */
  collection: string;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
}

const NAMESPACED =
  /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;
const PLAIN = /^((?:\/api\/v1|\/apis\/[^/]+\/[^/]+)\/[^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;

/** Throws a `Refusal` for a path that no API server has. */
export function parsePath(path: string): Target {
  const inside = NAMESPACED.exec(path);
  if (inside !== null && inside[3] !== 'status' && inside[3] !== 'finalize') {
    const [, root = '', namespace, plural = '', name, subresource] = inside;
    return { collection: `${root}/${plural}`, namespace, name, subresource };
  }
  const plain = PLAIN.exec(path);
  if (plain === null) throw new Refusal(404, 'NotFound', `the server could not find ${path}`);
  const [, collection = '', name, subresource] = plain;
  return { collection, namespace: undefined, name, subresource };
}

/** Whether an object is of the request's namespace and fits its selectors. */
export function filterOf(request: SeenRequest, target: Target): (object: Stored) => boolean {
  const labels = request.query.get('labelSelector');
  const selector = labels === null ? undefined : parseSelector(labels);
  const fields = (request.query.get('fieldSelector') ?? '').split(',').filter((f) => f !== '');
  return (object) =>
    (target.namespace === undefined || object.metadata.namespace === target.namespace) &&
    (selector === undefined || matchesSelector(selector, object.metadata.labels)) &&
    fields.every((field) => meetsField(object, field));
}

function meetsField(object: Stored, field: string): boolean {
  const [path = '', wanted = ''] = field.split('=', 2);
  let value: unknown = object;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value === wanted;
}
