import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { KubernetesObject, ObjectMeta, Status } from '../../api/kubernetes-types.ts';
import { freshAddress } from '../../test/testing/addresses.ts';
import { keyOf } from '../object-key.ts';
import { resourcePath } from '../resources.ts';
import type { ClientConfig, Resource } from '../types.ts';
import { mergePatch } from './fake-apply.ts';
import { filterOf, parsePath, type SeenRequest, type Target } from './fake-requests.ts';
import { FakeStorage, Refusal } from './fake-storage.ts';
import type { Change, Stored } from './fake-storage.ts';

/** What to do to a request instead of answering it properly. */
export type Fault =
  | { kind: 'status'; code: number; reason?: string; message?: string; retryAfterSeconds?: number }
  /** Answers nothing and keeps the connection. */
  | { kind: 'stall' }
  /** Closes the connection. */
  | { kind: 'reset' }
  /** Closes the connection, and does what is asked. */
  | { kind: 'lost' }
  /** Answers 200 with these bytes. */
  | { kind: 'body'; body: string };

export interface FakeApiServerOptions {
  /** Serves https with these; http otherwise. */
  tls?: { key: string; cert: string };
  /** When given, other bearer tokens get 401. */
  tokens?: Set<string>;
  /** Creating in a namespace that is not there is refused with 404, as a real server does. Default true. */
  checkNamespaces?: boolean;
}

interface Watch {
  request: SeenRequest;
  collection: string;
  response: ServerResponse;
  matches: (object: Stored) => boolean;
}

/**
 * An API server in memory for tests: pages, watches with bookmarks, 410, conflicts, a small server-side apply, finalizers, owner references;
 * and faults on demand. Knows no schema: what is written is kept.
 */
export class FakeApiServer {
  readonly requests: SeenRequest[] = [];
  readonly storage = new FakeStorage();
  /** Asked for each request; what it returns happens instead of the answer. */
  fault: ((request: SeenRequest) => Fault | undefined) | undefined;
  readonly #options: FakeApiServerOptions;
  readonly #watches = new Set<Watch>();
  readonly #sockets = new Set<Socket>();
  readonly #pages = new Map<string, { version: number; rest: Stored[] }>();
  readonly #waiters = new Set<() => void>();
  /** Of its own, since the port is let go at `stop`; certificates of tests name 127.0.0.1. */
  readonly #host: string;
  #server: Server | undefined;
  #port = 0;

  constructor(options: FakeApiServerOptions = {}) {
    this.#options = options;
    this.#host = options.tls === undefined ? freshAddress() : '127.0.0.1';
    this.storage.onChange((change) => this.#publish(change));
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://${this.#host}:${this.#port}`;
  }

  /** How to reach it, as `token` where one is given. */
  config(token?: string): ClientConfig {
    return {
      server: this.url,
      ...(this.#options.tls === undefined ? {} : { ca: this.#options.tls.cert }),
      ...(token === undefined ? {} : { auth: { kind: 'token', token: () => token } }),
    };
  }

  /** Listens; after `stop()` again on the same port, with all it held. */
  async start(): Promise<this> {
    const handler = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response);
    const { tls } = this.#options;
    const server = tls === undefined ? createServer(handler) : createTlsServer(tls, handler);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, this.#host, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** Closes everything at once, as a killed server does. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    this.#watches.clear();
    await closed;
  }

  /** Creates or replaces an object as another client would (its status too), and returns what is held. */
  put<T extends KubernetesObject>(resource: Resource<T>, object: T): T {
    const collection = resourcePath(resource, undefined);
    const given = withType(resource, structuredClone(object) as unknown as Stored);
    delete given.metadata.resourceVersion;
    const key = keyOf(given.metadata.namespace, given.metadata.name ?? '');
    if (this.storage.find(collection, key) === undefined) {
      return this.storage.create(collection, given) as unknown as T;
    }
    const held = this.storage.update(collection, given, undefined);
    if (given['status'] === undefined) return held as unknown as T;
    return this.storage.update(collection, given, 'status') as unknown as T;
  }

  remove(resource: Resource, namespace: string | undefined, name: string): void {
    this.storage.delete(resourcePath(resource, undefined), keyOf(namespace, name));
  }

  find<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): T | undefined {
    return this.storage.find(resourcePath(resource, undefined), keyOf(namespace, name)) as unknown as
      | T
      | undefined;
  }

  list<T extends KubernetesObject>(resource: Resource<T>): T[] {
    return this.storage.list(resourcePath(resource, undefined)) as unknown as T[];
  }

  get watchCount(): number {
    return this.#watches.size;
  }

  /** Resolves once `condition` holds; it is asked again after each request, change and end of a watch. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
      });
    }
  }

  /** Sends a bookmark on every watch. */
  bookmark(): void {
    for (const watch of this.#watches) {
      const metadata = { resourceVersion: String(this.storage.version) };
      watch.response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
    }
  }

  /** Ends every watch: cleanly, or by breaking the connection. */
  endWatches(how: 'clean' | 'break'): void {
    for (const watch of this.#watches) {
      if (how === 'clean') watch.response.end();
      else watch.response.destroy();
    }
    this.#watches.clear();
  }

  /** Writes these bytes on every watch. */
  writeOnWatches(bytes: string): void {
    for (const watch of this.#watches) watch.response.write(bytes);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    const seen: SeenRequest = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      authorization: request.headers.authorization,
      userAgent: request.headers['user-agent'],
    };
    this.requests.push(seen);
    try {
      const body = await text(request);
      if (!this.#misbehave(seen, response))
        this.#answer(seen, response, request.headers['content-type'] ?? '', body);
    } catch (error) {
      if (error instanceof Refusal) refuse(response, error.code, error.reason, error.message);
      else refuse(response, 400, 'BadRequest', String(error));
    }
    this.#wake();
  }

  #misbehave(request: SeenRequest, response: ServerResponse): boolean {
    const fault = this.fault?.(request);
    if (fault === undefined) return false;
    switch (fault.kind) {
      case 'status':
        send(response, fault.code, {
          ...statusOf(fault.code, fault.reason ?? 'InternalError', fault.message ?? 'a fault on demand'),
          details: { retryAfterSeconds: fault.retryAfterSeconds },
        });
        break;
      case 'reset':
        response.destroy();
        break;
      case 'lost':
        response.destroy();
        return false;
      case 'body':
        response.writeHead(200, { 'content-type': 'application/json' }).end(fault.body);
        break;
      case 'stall':
        break;
    }
    return true;
  }

  #answer(request: SeenRequest, response: ServerResponse, contentType: string, body: string): void {
    const { tokens } = this.#options;
    if (tokens !== undefined && !tokens.has(request.authorization?.replace(/^Bearer /, '') ?? '')) {
      throw new Refusal(401, 'Unauthorized', 'Unauthorized');
    }
    const target = parsePath(request.path);
    const given = JSON.parse(body === '' ? '{}' : body) as Stored;
    const { name } = target;
    switch (request.method) {
      case 'GET':
        if (name !== undefined)
          send(response, 200, this.storage.get(target.collection, keyOf(target.namespace, name)));
        else if (request.query.get('watch') === 'true') this.#watch(request, target, response);
        else send(response, 200, this.#list(request, target));
        return;
      case 'POST':
        send(response, 201, this.#create(target, given));
        return;
      case 'PUT':
        send(response, 200, this.storage.update(target.collection, given, target.subresource));
        return;
      case 'PATCH':
        send(response, 200, this.#patch(request, target, contentType, given));
        return;
      case 'DELETE':
        send(response, 200, this.#delete(target, given['preconditions']));
        return;
      default:
        throw new Refusal(405, 'MethodNotAllowed', `${request.method} is not served`);
    }
  }

  #create(target: Target, given: Stored): Stored {
    if (target.namespace !== undefined) given.metadata.namespace = target.namespace;
    this.#checkNamespace(target);
    return this.storage.create(target.collection, given);
  }

  #patch(request: SeenRequest, target: Target, contentType: string, given: Stored): Stored {
    const { collection, namespace, name = '', subresource } = target;
    if (contentType.startsWith('application/apply-patch')) {
      this.#checkNamespace(target);
      given.metadata = { ...given.metadata, name, ...(namespace === undefined ? {} : { namespace }) };
      const manager = request.query.get('fieldManager') ?? '';
      return this.storage.apply(
        collection,
        given,
        manager,
        request.query.get('force') === 'true',
        subresource,
      );
    }
    const old = this.storage.get(collection, keyOf(namespace, name));
    return this.storage.update(collection, mergePatch(structuredClone(old), given) as Stored, subresource);
  }

  #delete(target: Target, preconditions: unknown): Stored {
    const key = keyOf(target.namespace, target.name ?? '');
    const { metadata } = this.storage.get(target.collection, key);
    const { uid = metadata.uid, resourceVersion = metadata.resourceVersion } = (preconditions ??
      {}) as ObjectMeta;
    if (uid !== metadata.uid || resourceVersion !== metadata.resourceVersion) {
      throw new Refusal(409, 'Conflict', 'the precondition does not hold');
    }
    return this.storage.delete(target.collection, key);
  }

  #checkNamespace(target: Target): void {
    if (this.#options.checkNamespaces === false || target.namespace === undefined) return;
    if (this.storage.find('/api/v1/namespaces', target.namespace) !== undefined) return;
    throw new Refusal(404, 'NotFound', `namespaces "${target.namespace}" not found`);
  }

  #list(request: SeenRequest, target: Target): unknown {
    const limit = Number(request.query.get('limit') ?? '0');
    const { version, rest } = this.#snapshot(request, target);
    const items = limit > 0 ? rest.slice(0, limit) : rest;
    const left = rest.slice(items.length);
    const metadata: Record<string, unknown> = { resourceVersion: String(version) };
    if (left.length > 0) {
      const token = `page-${this.#pages.size}`;
      this.#pages.set(token, { version, rest: left });
      metadata['continue'] = token;
    }
    return { kind: 'List', apiVersion: 'v1', metadata, items };
  }

  #snapshot(request: SeenRequest, target: Target): { version: number; rest: Stored[] } {
    const token = request.query.get('continue');
    if (token === null) {
      const matches = filterOf(request, target);
      return { version: this.storage.version, rest: this.storage.list(target.collection).filter(matches) };
    }
    const page = this.#pages.get(token);
    if (page === undefined || page.version < this.storage.compactedTo) {
      throw new Refusal(410, 'Expired', 'the continue parameter is too old');
    }
    return page;
  }

  #watch(request: SeenRequest, target: Target, response: ServerResponse): void {
    const since = Number(request.query.get('resourceVersion') ?? '0');
    const watch: Watch = {
      request,
      collection: target.collection,
      response,
      matches: filterOf(request, target),
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (since < this.storage.compactedTo) {
      const object = statusOf(410, 'Expired', `too old resource version: ${since}`);
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
      return;
    }
    for (const change of this.storage.changesSince(target.collection, since)) sendChange(watch, change);
    this.#watches.add(watch);
    response.once('close', () => {
      this.#watches.delete(watch);
      this.#wake();
    });
  }

  #publish(change: Change): void {
    for (const watch of this.#watches) if (watch.collection === change.collection) sendChange(watch, change);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }
}

/** An object that begins or stops to match is added or deleted for this watcher. */
function sendChange(watch: Watch, change: Change): void {
  const was = change.before !== undefined && watch.matches(change.before);
  const is = change.type !== 'DELETED' && watch.matches(change.object);
  if (!was && !is) return;
  const type = was && is ? 'MODIFIED' : is ? 'ADDED' : 'DELETED';
  watch.response.write(`${JSON.stringify({ type, object: change.object })}\n`);
}

function withType(resource: Resource, object: Stored): Stored {
  object.apiVersion ??= resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
  object.kind ??= resource.kind;
  return object;
}

function statusOf(code: number, reason: string, message: string): Status {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

function refuse(response: ServerResponse, code: number, reason: string, message: string): void {
  send(response, code, statusOf(code, reason, message));
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** A started fake API server. */
export function startFakeApiServer(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
  return new FakeApiServer(options).start();
}
