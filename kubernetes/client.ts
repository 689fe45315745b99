import type { KubernetesList, KubernetesObject, Status } from '../api/kubernetes-types.ts';
import { VERSION } from '../api/names.ts';
import { LineTooLongError, splitLines } from './lines.ts';
import { errorMessage, silentLog } from './log.ts';
import type { Log } from './log.ts';
import { resourcePath } from './resources.ts';
import { noAnswer, Transport } from './transport.ts';
import type {
  ClientConfig,
  KubernetesClient,
  ListOptions,
  Resource,
  WatchEvent,
  WriteOptions,
} from './types.ts';

/** Settings of a client; all have defaults. */
export interface ClientOptions {
  /** Cap on the bytes of one answer and of one watch line, checked before parsing; a function is asked each time. Default 64 MiB. */
  maxResponseBytes?: number | (() => number);
  /** Milliseconds for anything but a watch, from the first byte sent to the last received. Default 60,000. */
  requestTimeoutMs?: number;
  userAgent?: string;
  /**
   * How often a call is sent again that the server has turned away without looking at it and has said when to come
   * again. Default 0: controllers come again anyway.
   */
  throttledRetries?: number;
  logger?: Log;
}

/** A page of 500 large Pods is some 5 MB; a list by another client without pages of a large cluster tens of them. */
const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** The API server's own `--request-timeout`. */
const DEFAULT_REQUEST_TIMEOUT_MS = 60_000;

/**
 * A client for one API server over HTTP/1.1 and TLS. Throws a `TypeError` for a server address that is no https URL.
 * Credentials are asked of `config.auth` for each call, so a renewed token is used at once.
 */
export function createClient(config: ClientConfig, options: ClientOptions = {}): KubernetesClient {
  const cap = options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
  const maxResponseBytes = typeof cap === 'function' ? cap : () => cap;
  const transport = new Transport(config, {
    maxResponseBytes,
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    userAgent: options.userAgent ?? `isthmus/${VERSION}`,
    throttledRetries: options.throttledRetries ?? 0,
  });
  return new HttpClient(transport, maxResponseBytes, options.logger ?? silentLog);
}

class HttpClient implements KubernetesClient {
  readonly #transport: Transport;
  readonly #maxLineBytes: () => number;
  readonly #log: Log;

  constructor(transport: Transport, maxLineBytes: () => number, log: Log) {
    this.#transport = transport;
    this.#maxLineBytes = maxLineBytes;
    this.#log = log;
  }

  get<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): Promise<T> {
    return this.#transport.json<T>({ method: 'GET', path: resourcePath(resource, namespace, name) });
  }

  async list<T extends KubernetesObject>(
    resource: Resource<T>,
    options: ListOptions & { limit?: number; continue?: string; resourceVersion?: string } = {},
    signal?: AbortSignal,
  ): Promise<KubernetesList<T>> {
    const query = new URLSearchParams(selectors(options));
    if (options.limit !== undefined) query.set('limit', String(options.limit));
    if (options.continue !== undefined) query.set('continue', options.continue);
    if (options.resourceVersion !== undefined) query.set('resourceVersion', options.resourceVersion);
    const list = await this.#transport.json<KubernetesList<T> | null>({
      method: 'GET',
      path: withQuery(resourcePath(resource, options.namespace), query),
      ...(signal === undefined ? {} : { signal }),
    });
    if (!Array.isArray(list?.items)) {
      throw noAnswer('InvalidResponse', `the list of ${resource.plural} has no items`);
    }
    // Servers leave kind and apiVersion out of list items; watch events have them.
    for (const item of list.items) {
      if (typeof item !== 'object' || item === null) {
        throw noAnswer('InvalidResponse', `the list of ${resource.plural} has an item that is no object`);
      }
      item.apiVersion ??= typeMeta(resource).apiVersion;
      item.kind ??= resource.kind;
    }
    return list;
  }

  async *watch<T extends KubernetesObject>(
    resource: Resource<T>,
    options: ListOptions & { resourceVersion: string; timeoutSeconds?: number; onOpen?: () => void },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    const query = new URLSearchParams({
      ...selectors(options),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: options.resourceVersion,
    });
    if (options.timeoutSeconds !== undefined) query.set('timeoutSeconds', String(options.timeoutSeconds));
    const path = withQuery(resourcePath(resource, options.namespace), query);
    const chunks = await this.#transport.stream({ method: 'GET', path, signal });
    options.onOpen?.();
    try {
      for await (const line of splitLines(chunks, this.#maxLineBytes))
        yield parseWatchEvent<T>(line, resource);
    } catch (error) {
      if (!(error instanceof LineTooLongError)) throw error;
      throw noAnswer('ResponseTooLarge', `the watch of ${resource.plural}: ${error.message}`, error);
    }
  }

  create<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    // A TokenRequest or Eviction is created under an object of another kind and keeps its own.
    const body = options.subresource === undefined ? { ...typeMeta(resource), ...object } : object;
    const name = options.subresource === undefined ? undefined : nameOf(object);
    return this.#transport.json<T>({
      method: 'POST',
      path: writePath(resource, object.metadata?.namespace, name, options),
      body,
    });
  }

  replace<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#transport.json<T>({
      method: 'PUT',
      path: writePath(resource, object.metadata?.namespace, nameOf(object), options),
      body: { ...typeMeta(resource), ...object },
    });
  }

  mergePatch<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.#transport.json<T>({
      method: 'PATCH',
      path: writePath(resource, namespace, name, options),
      body: patch,
      contentType: 'application/merge-patch+json',
    });
  }

  apply<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions & { fieldManager: string; force?: boolean },
  ): Promise<T> {
    return this.#transport.json<T>({
      method: 'PATCH',
      path: writePath(resource, object.metadata?.namespace, nameOf(object), options),
      body: { ...typeMeta(resource), ...object },
      // JSON is YAML.
      contentType: 'application/apply-patch+yaml',
    });
  }

  async delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: {
      preconditions?: { uid?: string; resourceVersion?: string };
      propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
    } = {},
  ): Promise<void> {
    await this.#transport.json<unknown>({
      method: 'DELETE',
      path: resourcePath(resource, namespace, name),
      body: { kind: 'DeleteOptions', apiVersion: 'v1', ...options },
    });
  }

  raw<R>(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<R> {
    return this.#transport.json<R>({ method, path, ...(body === undefined ? {} : { body }) });
  }

  text(path: string): Promise<string> {
    return this.#transport.text({ method: 'GET', path, accept: '*/*' });
  }

  async close(): Promise<void> {
    try {
      await this.#transport.close();
    } catch (error) {
      this.#log.debug({ error: errorMessage(error) }, 'closing an API client');
    }
  }
}

function typeMeta(resource: Resource): { apiVersion: string; kind: string } {
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
  return { apiVersion, kind: resource.kind };
}

function nameOf(object: KubernetesObject): string {
  const name = object.metadata?.name;
  if (name === undefined || name === '') {
    throw new TypeError(`a ${object.kind ?? 'object'} without metadata.name can not be written`);
  }
  return name;
}

function selectors(options: ListOptions): Record<string, string> {
  return {
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
  };
}

function writePath(
  resource: Resource,
  namespace: string | undefined,
  name: string | undefined,
  options: WriteOptions & { force?: boolean },
): string {
  const query = new URLSearchParams();
  if (options.fieldManager !== undefined) query.set('fieldManager', options.fieldManager);
  if (options.dryRun === true) query.set('dryRun', 'All');
  if (options.force === true) query.set('force', 'true');
  return withQuery(resourcePath(resource, namespace, name, options.subresource), query);
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

const EVENT_TYPES = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

function parseWatchEvent<T extends KubernetesObject>(line: string, resource: Resource<T>): WatchEvent<T> {
  let event: { type?: string; object?: T | Status } | null;
  try {
    event = JSON.parse(line) as typeof event;
  } catch (error) {
    throw noAnswer('InvalidResponse', `the watch of ${resource.plural} sent what is not JSON`, error);
  }
  const type = event?.type;
  const object: unknown = event?.object;
  const isEvent = type !== undefined && EVENT_TYPES.has(type);
  if (!isEvent || typeof object !== 'object' || object === null) {
    throw noAnswer('InvalidResponse', `the watch of ${resource.plural} sent an event of no known type`);
  }
  return event as WatchEvent<T>;
}
