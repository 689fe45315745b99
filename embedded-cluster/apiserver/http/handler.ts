import type { IncomingMessage, ServerResponse } from 'node:http';
import { openApiV3Document, openApiV3Index } from '../../schema/index.ts';
import type { ServedType } from '../../schema/types.ts';
import { ApiError } from '../../types.ts';
import { authenticate, withAuthenticatedGroup } from '../authn/authenticator.ts';
import { SERVICE_ACCOUNT_ISSUER, type ServiceAccountTokens } from '../authn/service-account-tokens.ts';
import type { SigningKey } from '../authn/signing-key.ts';
import type { Attributes } from '../authz/authorizer.ts';
import { type RbacAuthorizer, refusal } from '../authz/rbac.ts';
import {
  badRequest,
  internalError,
  invalidOptions,
  methodNotAllowed,
  notImplemented,
  unknownResource,
} from '../errors.ts';
import { isObject } from '../json.ts';
import type { Kubelet } from '../kubelet.ts';
import type { Call, Core, UserInfo } from '../operations/core.ts';
import { type DeleteOptions, remove, removeCollection } from '../operations/delete.ts';
import { list } from '../operations/read.ts';
import type { Verbs } from '../operations/verbs.ts';
import { isStoredObject } from '../registry.ts';
import { pinnedName } from '../selectors.ts';
import { mediaType, parseBody, readBody } from './body.ts';
import { aggregated, group, groupList, legacyVersions, resourceList } from './discovery.ts';
import { servePodLog } from './pod-log.ts';
import { mediaRanges, negotiate, renderList, renderObject } from './representation.ts';
import { parsePath, type RequestInfo } from './request-info.ts';
import { VERSION_INFO } from './version.ts';
import type { WatchStreams } from './watch-stream.ts';

export interface HandlerOptions {
  core: Core;
  verbs: Verbs;
  tokens: ServiceAccountTokens;
  signingKey: SigningKey;
  authorizer: RbacAuthorizer;
  watches: WatchStreams;
  kubelet: Kubelet | undefined;
  /** `127.64.3.1:6443`, as discovery tells it. */
  serverAddress: () => string;
  /** Told about failures that are the server's own. */
  onError: (error: unknown, request: string) => void;
}

type ResourceInfo = Extract<RequestInfo, { kind: 'resource' }>;

/** One request with what is known of it. */
interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  user: UserInfo;
  query: URLSearchParams;
}

/** Serves the Kubernetes API over HTTP: who asks, whether they may, and which operation it is. */
export class ApiHandler {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** Answers a request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#serve(request, response);
    } catch (error) {
      this.#fail(request, response, error);
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path, search] = splitOnce(request.url ?? '/', '?');
    const info = parsePath(path);
    if (info === undefined) throw badRequest(`the path ${JSON.stringify(path)} is not a valid URL path`);
    const exchange: Exchange = {
      request,
      response,
      user: this.#impersonated(request, authenticate(request, this.#options.tokens)),
      query: new URLSearchParams(search),
    };
    if (info.kind === 'path') this.#servePath(exchange, info.path);
    else await this.#serveResource(exchange, info);
  }

  /** `kubectl --as`: someone else, for those who may `impersonate` them. */
  #impersonated({ headers }: IncomingMessage, user: UserInfo): UserInfo {
    const username = headers['impersonate-user'];
    if (typeof username !== 'string' || username === '') return user;
    const asked = headers['impersonate-group'];
    const groups = (Array.isArray(asked) ? asked.join(',') : (asked ?? ''))
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username);
    const [, namespace = '', accountName = ''] = account ?? [];
    const target = { kind: 'resource' as const, user, verb: 'impersonate', group: '', subresource: '' };
    this.#require(
      account === null
        ? { ...target, resource: 'users', namespace: '', name: username }
        : { ...target, resource: 'serviceaccounts', namespace, name: accountName },
    );
    for (const name of groups) this.#require({ ...target, resource: 'groups', namespace: '', name });
    if (account !== null && groups.length === 0)
      groups.push('system:serviceaccounts', `system:serviceaccounts:${namespace}`);
    if (username === 'system:anonymous')
      return { username, groups: groups.length === 0 ? ['system:unauthenticated'] : groups };
    return withAuthenticatedGroup({ username, groups });
  }

  #require(attributes: Attributes): void {
    if (!this.#options.authorizer.authorize(attributes).allowed) throw refusal(attributes);
  }

  #servePath({ request, response, user }: Exchange, path: string): void {
    const verb = (request.method ?? 'GET').toLowerCase();
    this.#require({ kind: 'path', user, verb, path });
    const page = this.#page(path, request.headers.accept ?? '');
    if (page === undefined) return sendNotFound(response);
    if (typeof page === 'string') return sendText(response, 200, page);
    sendJson(response, 200, page.body, page.contentType);
  }

  #page(path: string, accept: string): string | { body: object; contentType?: string } | undefined {
    const { registry } = this.#options.core;
    const [root = '', first = '', second = '', ...more] = path.split('/').filter((part) => part !== '');
    switch (root) {
      case 'healthz':
      case 'livez':
      case 'readyz':
        return 'ok';
      case 'version':
        return { body: VERSION_INFO };
      case 'api':
      case 'apis':
        if (first === '') {
          if (wantsAggregated(accept))
            return { body: aggregated(registry, root === 'api'), contentType: AGGREGATED_TYPE };
          return {
            body: root === 'api' ? legacyVersions(this.#options.serverAddress()) : groupList(registry),
          };
        }
        return wrap(
          root === 'api'
            ? resourceList(registry, '', first)
            : second === ''
              ? group(registry, first)
              : resourceList(registry, first, second),
        );
      case 'openapi':
        return this.#openApi(first, [second, ...more]);
      case '.well-known':
        return first === 'openid-configuration'
          ? { body: openIdConfiguration(this.#options.serverAddress()) }
          : undefined;
      default:
        return undefined;
    }
  }

  #openApi(
    version: string,
    path: readonly string[],
  ): string | { body: object; contentType?: string } | undefined {
    if (version === 'v1' && path[0] === 'jwks') {
      return { body: { keys: [this.#options.signingKey.jwk] }, contentType: 'application/jwk-set+json' };
    }
    if (version !== 'v3') return undefined;
    const types = this.#options.core.registry.all();
    if (path[0] === '' || path[0] === undefined) return wrap(openApiV3Index(types));
    const [root, ...rest] = path;
    const [groupName, documentVersion] = root === 'api' ? ['', rest[0]] : [rest[0], rest[1]];
    if (groupName === undefined || documentVersion === undefined) return undefined;
    return wrap(openApiV3Document(groupName, documentVersion, types));
  }

  async #serveResource(exchange: Exchange, info: ResourceInfo): Promise<void> {
    const { request, response, user, query } = exchange;
    const verb = verbOf(request.method ?? 'GET', info, query);
    this.#require(attributesOf(user, verb, info, query));
    const type = this.#options.core.registry.find(info.group, info.version, info.plural);
    if (type === undefined || !isServed(type, info)) {
      const known = this.#options.core.registry.groups().get(info.group)?.includes(info.version) ?? false;
      if (known) throw unknownResource();
      return sendNotFound(response);
    }
    if (!allowedVerbs(type, info).includes(verb) || !fitsName(verb, info)) throw methodNotAllowed();

    const warnings: string[] = [];
    const call = callOf(exchange, info, type, (text) => warnings.push(text));
    switch (verb) {
      case 'get':
        return this.#get(exchange, call);
      case 'list':
        return this.#list(exchange, call);
      case 'watch':
        return this.#watch(exchange, call);
      default: {
        const result = await this.#write(exchange, call, verb);
        for (const text of warnings.slice(0, MAX_WARNINGS))
          response.appendHeader('Warning', `299 - ${JSON.stringify(text)}`);
        this.#sendObject(exchange, call, result.code, result.body);
      }
    }
  }

  async #get(exchange: Exchange, call: Call): Promise<void> {
    const { core, verbs, kubelet } = this.#options;
    if (call.subresource === 'log') {
      const pod = verbs.get({ ...call, subresource: '' });
      return servePodLog(exchange.response, pod, exchange.query, kubelet);
    }
    if (call.subresource !== '' && call.subresource !== 'status' && call.subresource !== 'scale') {
      throw notImplemented(
        `${call.type.resource.plural}/${call.subresource} is not implemented by this cluster`,
      );
    }
    const object = verbs.get(call);
    sendJson(
      exchange.response,
      200,
      renderObject(
        object,
        call.type,
        negotiate(exchange.request.headers.accept, exchange.query.get('includeObject')),
        core.now(),
      ),
    );
  }

  #list({ request, response, query }: Exchange, call: Call): void {
    const { core } = this.#options;
    const result = list(core.store, call.type, { ...selectionOf(call, query), ...pageOf(query) });
    const representation = negotiate(request.headers.accept, query.get('includeObject'));
    sendJson(response, 200, renderList(result, call.type, representation, core.now()));
  }

  #watch({ request, response, query }: Exchange, call: Call): void {
    const initial = query.get('sendInitialEvents');
    if (initial === 'true' && query.get('resourceVersionMatch') !== 'NotOlderThan') {
      throw invalidOptions('ListOptions', {
        field: 'resourceVersionMatch',
        reason: 'FieldValueForbidden',
        message: 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
      });
    }
    const timeout = query.get('timeoutSeconds');
    const selection = selectionOf(call, query);
    this.#options.watches.serve(response, call.type, {
      ...selection,
      ...(call.name === '' ? {} : { fieldSelector: `metadata.name=${call.name}` }),
      resourceVersion: query.get('resourceVersion') ?? '',
      ...(initial === null ? {} : { sendInitialEvents: initial === 'true' }),
      allowBookmarks: query.get('allowWatchBookmarks') === 'true',
      timeoutSeconds:
        timeout === null || !/^\d{1,6}$/.test(timeout) || timeout === '0' ? undefined : Number(timeout),
      representation: negotiate(request.headers.accept, query.get('includeObject')),
    });
  }

  async #write(exchange: Exchange, call: Call, verb: string): Promise<{ code: number; body: object }> {
    const { core, verbs } = this.#options;
    const type = mediaType(exchange.request);
    const body = parseBody(await readBody(exchange.request), type);
    switch (verb) {
      case 'create':
        return { code: 201, body: await verbs.create(call, body) };
      case 'update':
        return { code: 200, body: await verbs.update(call, body) };
      case 'patch': {
        const force = exchange.query.get('force') === 'true';
        const { object, created } = await verbs.patch(call, { type, body, force });
        return { code: created ? 201 : 200, body: object };
      }
      case 'delete':
        return {
          code: 200,
          body: await remove(core, callWithBody(call, body), deleteOptions(exchange.query, body)),
        };
      default: {
        const found = list(core.store, call.type, selectionOf(call, exchange.query));
        await removeCollection(
          core,
          callWithBody(call, body),
          found.items,
          deleteOptions(exchange.query, body),
        );
        return { code: 200, body: renderList(found, call.type, { as: 'object' }, core.now()) };
      }
    }
  }

  #sendObject({ request, response, query }: Exchange, call: Call, code: number, body: object): void {
    const isPlain = isStoredObject(body) && body.kind === call.type.resource.kind && call.subresource === '';
    const representation = negotiate(request.headers.accept, query.get('includeObject'));
    const shown = isPlain ? renderObject(body, call.type, representation, this.#options.core.now()) : body;
    sendJson(response, code, shown);
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known =
      error instanceof ApiError
        ? error
        : internalError(error instanceof Error ? error.message : String(error));
    if (known !== error) this.#options.onError(error, `${request.method ?? ''} ${request.url ?? ''}`);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const { retryAfterSeconds } = known.status.details ?? {};
    if (retryAfterSeconds !== undefined && retryAfterSeconds > 0)
      response.setHeader('Retry-After', String(retryAfterSeconds));
    // A body that was not read to its end would be taken for the next request.
    if (!request.complete) response.setHeader('Connection', 'close');
    sendJson(response, known.code, known.status);
  }
}

/** Warnings of one answer; some clients limit the bytes of all headers. */
const MAX_WARNINGS = 20;

const AGGREGATED_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

function wantsAggregated(accept: string): boolean {
  return mediaRanges(accept).some(
    ({ as, group: name, version }) =>
      as === 'APIGroupDiscoveryList' && name === 'apidiscovery.k8s.io' && version === 'v2',
  );
}

function wrap(body: object | undefined): { body: object } | undefined {
  return body === undefined ? undefined : { body };
}

function openIdConfiguration(serverAddress: string): object {
  return {
    issuer: SERVICE_ACCOUNT_ISSUER,
    jwks_uri: `https://${serverAddress}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  };
}

function splitOnce(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}

function verbOf(method: string, { name }: ResourceInfo, query: URLSearchParams): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (query.get('watch') === 'true' || query.get('watch') === '1') return 'watch';
      return name === '' ? 'list' : 'get';
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

function attributesOf(user: UserInfo, verb: string, info: ResourceInfo, query: URLSearchParams): Attributes {
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

function isServed({ resource }: ServedType, { namespace, subresource, name }: ResourceInfo): boolean {
  if (!resource.namespaced && namespace !== undefined) return false;
  if (resource.namespaced && namespace === undefined && name !== '') return false;
  return subresource === '' || resource.subresources.some((entry) => entry.name === subresource);
}

function allowedVerbs({ resource }: ServedType, { subresource }: ResourceInfo): readonly string[] {
  if (subresource === '') return resource.verbs;
  return resource.subresources.find((entry) => entry.name === subresource)?.verbs ?? [];
}

/** Objects are made in their collection, and changed by their name. */
function fitsName(verb: string, { name, subresource }: ResourceInfo): boolean {
  if (verb === 'create') return (name === '') === (subresource === '');
  return (verb !== 'update' && verb !== 'patch') || name !== '';
}

function callOf(
  { request, user, query }: Exchange,
  info: ResourceInfo,
  type: ServedType,
  warn: (text: string) => void,
): Call {
  const validation = query.get('fieldValidation');
  return {
    user,
    type,
    namespace: info.namespace,
    name: info.name,
    subresource: info.subresource,
    dryRun: isDryRun(query.getAll('dryRun'), request.method ?? ''),
    fieldManager: query.get('fieldManager') ?? (isApply(request) ? '' : managerOf(request)),
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

function selectionOf(
  call: Call,
  query: URLSearchParams,
): { namespace: string | undefined; labelSelector: string; fieldSelector: string } {
  return {
    namespace: call.namespace,
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
  };
}

function pageOf(query: URLSearchParams): {
  limit?: number;
  continue?: string;
  resourceVersion: string;
  resourceVersionMatch: string;
} {
  const limit = query.get('limit');
  const token = query.get('continue');
  if (limit !== null && !/^\d{1,9}$/.test(limit))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(limit)}: invalid syntax`);
  return {
    ...(limit === null ? {} : { limit: Number(limit) }),
    ...(token === null || token === '' ? {} : { continue: token }),
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
  };
}

/** dryRun may stand in the body of a deletion, too. */
function callWithBody(call: Call, body: unknown): Call {
  if (!isObject(body) || !Array.isArray(body['dryRun'])) return call;
  return { ...call, dryRun: call.dryRun || isDryRun(body['dryRun'].map(String), 'DELETE') };
}

function deleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const given = isObject(body) ? body : {};
  const policy =
    given['propagationPolicy'] ??
    query.get('propagationPolicy') ??
    (given['orphanDependents'] === true ? 'Orphan' : undefined);
  const grace = given['gracePeriodSeconds'] ?? query.get('gracePeriodSeconds');
  const { preconditions } = given;
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

function sendJson(
  response: ServerResponse,
  code: number,
  body: object,
  contentType = 'application/json',
): void {
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(code, {
    'Content-Type': contentType,
    'Content-Length': text.length,
    'Cache-Control': 'no-cache, private',
  });
  response.end(text);
}

function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** What kube-apiserver's router answers for a path that it does not know; clients make of it what they say themselves. */
function sendNotFound(response: ServerResponse): void {
  sendText(response, 404, '404 page not found\n');
}
