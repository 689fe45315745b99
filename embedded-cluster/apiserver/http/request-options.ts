import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServedType } from '../../schema/types.ts';
import type { Attributes } from '../authz/authorizer.ts';
import { badRequest, invalidOptions, methodNotAllowed, plainError } from '../errors.ts';
import { isObject } from '../json.ts';
import type { Call, UserInfo } from '../operations/core.ts';
import type { DeleteOptions } from '../operations/delete.ts';
import { pinnedName } from '../selectors.ts';
import { mediaType } from './body.ts';
import type { RequestInfo } from './request-info.ts';

/** A request for objects, by its path. */
export type ResourceInfo = Extract<RequestInfo, { kind: 'resource' }>;

/** One request with what is known of it. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  user: UserInfo;
  query: URLSearchParams;
}

/** `watch` means nothing below a name. */
export function verbOf(method: string, { name }: ResourceInfo, query: URLSearchParams): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (name !== '') return 'get';
      return query.get('watch') === 'true' || query.get('watch') === '1' ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    default:
      throw methodNotAllowed();
  }
}

export function attributesOf(
  user: UserInfo,
  verb: string,
  info: ResourceInfo,
  query: URLSearchParams,
): Attributes {
  const { group: name, plural, subresource, namespace } = info;
  const pinned =
    info.name === '' && (verb === 'list' || verb === 'watch')
      ? pinnedName(query.get('fieldSelector') ?? undefined)
      : undefined;
  // A namespace is in itself, so that a role in it can allow to read it.
  const scope = namespace ?? (name === '' && plural === 'namespaces' ? info.name : '');
  return {
    kind: 'resource',
    user,
    verb,
    group: name,
    resource: plural,
    subresource,
    namespace: scope,
    name: pinned ?? info.name,
  };
}

/** Is there such a path? Not of a cluster's resource inside a namespace, nor of a subresource that the type lacks. */
export function isServed({ resource }: ServedType, { namespace, subresource, name }: ResourceInfo): boolean {
  if (!resource.namespaced && namespace !== undefined) return false;
  if (resource.namespaced && namespace === undefined && name !== '') return false;
  return subresource === '' || resource.subresources.some((entry) => entry.name === subresource);
}

/** Verbs of a resource, or of its subresource. */
export function allowedVerbs({ resource }: ServedType, { subresource }: ResourceInfo): readonly string[] {
  if (subresource === '') return resource.verbs;
  return resource.subresources.find((entry) => entry.name === subresource)?.verbs ?? [];
}

/** Reviews are only made: there is nothing at a name. */
export function hasMember({ resource }: ServedType): boolean {
  return resource.verbs.some((verb) => verb !== 'create');
}

/** Objects are made in their collection, and changed by their name; across namespaces they are only read. */
export function fits(
  verb: string,
  { name, subresource, namespace }: ResourceInfo,
  { resource }: ServedType,
): boolean {
  const isAcross = resource.namespaced && namespace === undefined;
  if (isAcross && verb !== 'list' && verb !== 'watch' && hasMember({ resource } as ServedType)) return false;
  if (verb === 'create') return (name === '') === (subresource === '');
  return (verb !== 'update' && verb !== 'patch') || name !== '';
}

/** The operation that a request asks for. Throws 400 for options that are not understood. */
export function callOf(
  { request, user, query }: Exchange,
  info: ResourceInfo,
  type: ServedType,
  warn: (text: string) => void,
): Call {
  const validation = query.get('fieldValidation');
  const manager = query.get('fieldManager');
  return {
    user,
    type,
    namespace: info.namespace,
    name: info.name,
    subresource: info.subresource,
    dryRun: isDryRun(query.getAll('dryRun'), request.method ?? ''),
    ...(manager === null ? {} : { namedManager: manager }),
    fieldManager: manager ?? (isApply(request) ? '' : managerOf(request)),
    fieldValidation: validation === 'Strict' || validation === 'Ignore' ? validation : 'Warn',
    warn,
  };
}

function isApply(request: IncomingMessage): boolean {
  return request.method === 'PATCH' && mediaType(request) === 'application/apply-patch+yaml';
}

const OPTIONS_KIND: Readonly<Record<string, string>> = {
  POST: 'CreateOptions',
  PUT: 'UpdateOptions',
  PATCH: 'PatchOptions',
  DELETE: 'DeleteOptions',
};

function isDryRun(values: readonly string[], method: string): boolean {
  if (values.some((value) => value !== 'All')) {
    throw invalidOptions(OPTIONS_KIND[method] ?? 'ListOptions', {
      field: 'dryRun',
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`,
    });
  }
  return values.length > 0;
}

/** What stands before the slash of User-Agent, as kube-apiserver names a manager that does not name itself. */
function managerOf({ headers }: IncomingMessage): string {
  return (headers['user-agent'] ?? '').split('/', 1)[0]?.slice(0, 128) || 'unknown';
}

/** Which objects of a collection are meant. */
export function selectionOf(
  call: Call,
  query: URLSearchParams,
): { namespace: string | undefined; labelSelector: string; fieldSelector: string } {
  return {
    namespace: call.namespace,
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
  };
}

/** How much of a list is wanted, and as of when. Throws 400 for a limit that is no number. */
export function pageOf(query: URLSearchParams): {
  limit?: number;
  continue?: string;
  resourceVersion: string;
  resourceVersionMatch: string;
} {
  const limit = query.get('limit');
  const token = query.get('continue');
  if (limit !== null && !/^-?\d{1,9}$/.test(limit))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(limit)}: invalid syntax`);
  return {
    ...(limit === null ? {} : { limit: Number(limit) }),
    ...(token === null || token === '' ? {} : { continue: token }),
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
  };
}

/** dryRun may stand in the body of a deletion, too. */
export function callWithBody(call: Call, body: unknown): Call {
  if (!isObject(body) || !Array.isArray(body['dryRun'])) return call;
  return { ...call, dryRun: call.dryRun || isDryRun(body['dryRun'].map(String), 'DELETE') };
}

/** A body must be DeleteOptions; the real server takes anything else for a failure of its own. */
function requireDeleteOptions(given: Record<string, unknown>): void {
  const { kind = 'DeleteOptions', apiVersion = 'v1', gracePeriodSeconds } = given;
  if (kind !== 'DeleteOptions') {
    throw plainError(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
    );
  }
  if (typeof gracePeriodSeconds === 'string') {
    throw plainError(
      'json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
    );
  }
}

/** Options of a deletion; what stands in the body counts before what stands in the query. */
export function deleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const given = isObject(body) ? body : {};
  requireDeleteOptions(given);
  const policy =
    given['propagationPolicy'] ??
    query.get('propagationPolicy') ??
    (given['orphanDependents'] === true ? 'Orphan' : undefined);
  const grace = given['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds');
  const { preconditions } = given;
  if (given['orphanDependents'] !== undefined && (given['propagationPolicy'] ?? null) !== null) {
    throw invalidOptions('DeleteOptions', {
      field: 'propagationPolicy',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(policy)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  }
  if (
    policy !== undefined &&
    policy !== null &&
    policy !== 'Orphan' &&
    policy !== 'Foreground' &&
    policy !== 'Background'
  ) {
    throw invalidOptions('DeleteOptions', {
      field: 'propagationPolicy',
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"`,
    });
  }
  return {
    ...(policy === undefined || policy === null ? {} : { propagationPolicy: policy }),
    ...(grace === undefined || grace === null || Number.isNaN(Number(grace))
      ? {}
      : { gracePeriodSeconds: Number(grace) }),
    ...(isObject(preconditions) ? { preconditions } : {}),
  };
}
