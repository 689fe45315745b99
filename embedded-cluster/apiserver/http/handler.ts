import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '../../types.ts';
import { authenticate } from '../authn/authenticator.ts';
import { impersonate } from '../authn/impersonation.ts';
import type { ServiceAccountTokens } from '../authn/service-account-tokens.ts';
import type { Attributes } from '../authz/authorizer.ts';
import {
  badRequest,
  internalError,
  methodNotAllowed,
  notImplemented,
  plainError,
  unknownResource,
} from '../errors.ts';
import type { Kubelet } from '../kubelet.ts';
import type { Call, Core } from '../operations/core.ts';
import { reportFields } from '../operations/decode.ts';
import { remove, removeCollection } from '../operations/delete.ts';
import { list, requireReached } from '../operations/read.ts';
import type { Verbs } from '../operations/verbs.ts';
import { isStoredObject } from '../registry.ts';
import { duplicateYamlKey, mediaType, parseBody, readBody } from './body.ts';
import type { Pages } from './pages.ts';
import { servePodLog } from './pod-log.ts';
import { parseProxyName, servePodProxy } from './pod-proxy.ts';
import { duplicateFields } from './duplicate-fields.ts';
import { deprecations } from './deprecations.ts';
import { checkListOptions, checkWriteOptions } from './option-rules.ts';
import { negotiate, renderList, renderObject, type Representation } from './representation.ts';
import { parsePath, withoutWatchPrefix } from './request-info.ts';
import {
  allowedVerbs,
  attributesOf,
  callOf,
  callWithBody,
  deleteOptions,
  type Exchange,
  fits,
  hasMember,
  isServed,
  pageOf,
  type ResourceInfo,
  selectionOf,
  verbOf,
} from './request-options.ts';
import { sendJson, sendNotFound, sendText } from './respond.ts';
import type { WatchStreams } from './watch-stream.ts';

export interface HandlerOptions {
  core: Core;
  verbs: Verbs;
  tokens: ServiceAccountTokens;
  pages: Pages;
  /** Throws 403 for what the user may not do. */
  judge: (attributes: Attributes) => void;
  watches: WatchStreams;
  kubelet: Kubelet | undefined;
  /** Told about failures that are the server's own. */
  onError: (error: unknown, request: string) => void;
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
    const [asked, search] = splitOnce(request.url ?? '/', '?');
    const query = new URLSearchParams(search);
    const path = withoutWatchPrefix(asked, query);
    const info = parsePath(path);
    if (info === undefined) throw badRequest(`the path ${JSON.stringify(path)} is not a valid URL path`);
    const exchange: Exchange = {
      request,
      response,
      user: impersonate(request.headers, authenticate(request, this.#options.tokens), (attributes) =>
        this.#options.judge(attributes),
      ),
      query,
    };
    if (info.kind === 'path') this.#servePath(exchange, info.path);
    else await this.#serveResource(exchange, info);
  }

  #servePath({ request, response, user }: Exchange, path: string): void {
    const verb = (request.method ?? 'GET').toLowerCase();
    this.#options.judge({ kind: 'path', user, verb, path });
    const page = this.#options.pages.at(path, request.headers.accept ?? '');
    if (page === undefined) {
      // Of a group that is served the real server knows every version.
      const [root, group = '', version] = path.split('/').filter((part) => part !== '');
      const groups = this.#options.core.registry.groups();
      if (root === 'api' ? group !== '' : root === 'apis' && version !== undefined && groups.has(group)) {
        throw unknownResource();
      }
      return sendNotFound(response);
    }
    if (typeof page === 'string') return sendText(response, 200, page);
    sendJson(response, 200, page.body, page.contentType);
  }

  async #serveResource(exchange: Exchange, info: ResourceInfo): Promise<void> {
    const { request, response, user, query } = exchange;
    const verb = verbOf(request.method ?? 'GET', info, query);
    this.#options.judge(attributesOf(user, verb, info, query));
    const type = this.#options.core.registry.find(info.group, info.version, info.plural);
    if (type === undefined || !isServed(type, info)) {
      // Of groups that are built in the real server knows every version, served or not.
      const known = this.#options.core.registry.groups().has(info.group);
      if (known) throw unknownResource();
      return sendNotFound(response);
    }
    if (info.name !== '' && !hasMember(type)) throw unknownResource();
    if (!allowedVerbs(type, info).includes(verb) || !fits(verb, info, type)) throw methodNotAllowed();
    // Refused before anything is written.
    if (!HANDED_ON.has(info.subresource)) representationOf(exchange, info, verb);
    checkWriteOptions(verb, request, query);

    const warnings: string[] = deprecations(this.#options.core.store, type);
    const call = callOf(exchange, info, type, (text) => warnings.push(text));
    const warn = (): void => {
      for (const text of warnings.slice(0, MAX_WARNINGS)) {
        response.appendHeader('Warning', `299 - ${JSON.stringify(text)}`);
      }
    };
    if (!isWrite(verb)) warn();
    switch (verb) {
      case 'get':
        return this.#get(exchange, call);
      case 'list':
        return this.#list(exchange, call);
      case 'watch':
        return this.#watch(exchange, call);
      default: {
        const result = await this.#write(exchange, call, verb);
        warn();
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
    if (call.subresource === 'proxy' && call.type.resource.plural === 'pods') {
      const { pod: name, port } = parseProxyName(call.name);
      const pod = verbs.get({ ...call, name, subresource: '' });
      return servePodProxy(exchange.request, exchange.response, pod, port);
    }
    if (call.subresource !== '' && call.subresource !== 'status' && call.subresource !== 'scale') {
      throw notImplemented(
        `${call.type.resource.plural}/${call.subresource} is not implemented by this cluster`,
      );
    }
    requireReached(core.store, exchange.query.get('resourceVersion') ?? '');
    const object = verbs.get(call);
    const representation = negotiate(
      exchange.request.headers.accept,
      exchange.query.get('includeObject'),
      'object',
    );
    sendJson(exchange.response, 200, renderObject(object, call.type, representation, core.now()));
  }

  #list({ request, response, query }: Exchange, call: Call): void {
    const { core } = this.#options;
    checkListOptions(query, false);
    const result = list(core.store, call.type, { ...selectionOf(call, query), ...pageOf(query) });
    const representation = negotiate(request.headers.accept, query.get('includeObject'), 'list');
    sendJson(response, 200, renderList(result, call.type, representation, core.now()));
  }

  #watch({ request, response, query }: Exchange, call: Call): void {
    const initial = query.get('sendInitialEvents');
    checkListOptions(query, true);
    const timeout = query.get('timeoutSeconds');
    if (timeout !== null && !/^-?\d+$/.test(timeout)) {
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(timeout)}: invalid syntax`);
    }
    const selection = selectionOf(call, query);
    this.#options.watches.serve(response, call.type, {
      ...selection,
      resourceVersion: query.get('resourceVersion') ?? '',
      ...(initial === null ? {} : { sendInitialEvents: initial === 'true' }),
      allowBookmarks: query.get('allowWatchBookmarks') === 'true',
      timeoutSeconds:
        timeout === null || !/^\d{1,6}$/.test(timeout) || timeout === '0' ? undefined : Number(timeout),
      representation: negotiate(request.headers.accept, query.get('includeObject'), 'object'),
    });
  }

  async #write(exchange: Exchange, call: Call, verb: string): Promise<{ code: number; body: object }> {
    const { core, verbs } = this.#options;
    const type = mediaType(exchange.request);
    const bytes = await readBody(exchange.request);
    const body = verb.startsWith('delete') ? parseOptions(bytes, type) : parseBody(bytes, type);
    if (type === 'application/apply-patch+yaml') refuseDuplicateKey(call, bytes.toString('utf8'));
    if (type === 'application/json' && (verb === 'create' || verb === 'update')) {
      reportFields(call, 'duplicate', duplicateFields(bytes.toString('utf8')));
    }
    switch (verb) {
      case 'create':
        return { code: 201, body: await verbs.create(call, body) };
      case 'update': {
        const { object, created } = await verbs.update(call, body);
        return { code: created ? 201 : 200, body: object };
      }
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
    const representation = negotiate(request.headers.accept, query.get('includeObject'), 'object');
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

/** The real server takes options that it cannot read for a failure of its own. */
function parseOptions(bytes: Buffer, type: string): unknown {
  try {
    return parseBody(bytes, type);
  } catch (error) {
    throw error instanceof ApiError && error.code === 400 ? plainError(error.message) : error;
  }
}

function refuseDuplicateKey(call: Call, text: string): void {
  const problem = call.fieldValidation === 'Ignore' ? undefined : duplicateYamlKey(text);
  if (problem === undefined) return;
  if (call.fieldValidation === 'Warn') return call.warn(problem);
  throw badRequest(
    `error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  ${problem}`,
  );
}

function isWrite(verb: string): boolean {
  return verb !== 'get' && verb !== 'list' && verb !== 'watch';
}

function representationOf(
  { request, query }: Exchange,
  { name }: ResourceInfo,
  verb: string,
): Representation {
  const isList = name === '' && (verb === 'list' || verb === 'deletecollection');
  return negotiate(request.headers.accept, query.get('includeObject'), isList ? 'list' : 'object');
}

/** Subresources whose answers are not objects of the API: whatever the client accepts. */
const HANDED_ON: ReadonlySet<string> = new Set(['log', 'proxy']);

/** Warnings of one answer; some clients limit the bytes of all headers. */
const MAX_WARNINGS = 20;

function splitOnce(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}
