import type { KubernetesList, KubernetesObject, Status } from '../api/kubernetes-types.ts';

/** How to reach an API server. Made from the pod's ServiceAccount, from a Link's kubeconfig by allow-list, or by the CLI from the user's kubeconfig. */
export interface ClientConfig {
  /** `https://host:port`, no trailing slash. */
  server: string;
  /** PEM; the system's roots when absent. */
  ca?: string;
  /** SNI and name to verify, where it differs from the server's host. */
  serverName?: string;
  auth?:
    | { kind: 'token'; token: () => string | Promise<string> }
    | { kind: 'certificate'; cert: string; key: string }
    | { kind: 'headers'; headers: () => Promise<Record<string, string>> };
}

/** Names a served resource: `{group: 'apps', version: 'v1', plural: 'deployments', namespaced: true}`. */
export interface Resource<T extends KubernetesObject = KubernetesObject> {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  /** Only carries the type. */
  readonly object?: T;
}

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/** One line of a watch, as the API server sends it. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }
  | { type: 'ERROR'; object: Status };

/** How an object is written. */
export interface WriteOptions {
  fieldManager?: string;
  dryRun?: boolean;
  subresource?: string;
}

/**
 * One API server. Every failed call throws a `KubernetesError`: with the server's Status, or with the cause when no answer came.
 * Responses are capped in bytes (`maxResponseBytes` at construction). Nothing is retried here.
 */
export interface KubernetesClient {
  get<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
  ): Promise<T>;
  list<T extends KubernetesObject>(
    resource: Resource<T>,
    options?: ListOptions & { limit?: number; continue?: string; resourceVersion?: string },
    signal?: AbortSignal,
  ): Promise<KubernetesList<T>>;
  /** Ends when the server ends it; throws when it breaks. `onOpen` is called once the server has accepted the watch. */
  watch<T extends KubernetesObject>(
    resource: Resource<T>,
    options: ListOptions & { resourceVersion: string; timeoutSeconds?: number; onOpen?: () => void },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T extends KubernetesObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  replace<T extends KubernetesObject>(resource: Resource<T>, object: T, options?: WriteOptions): Promise<T>;
  /** JSON merge patch. */
  mergePatch<T extends KubernetesObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  /** Server-side apply; `force` takes fields over from other managers. */
  apply<T extends KubernetesObject>(
    resource: Resource<T>,
    object: T,
    options: WriteOptions & { fieldManager: string; force?: boolean },
  ): Promise<T>;
  delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options?: {
      preconditions?: { uid?: string; resourceVersion?: string };
      propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
    },
  ): Promise<void>;
  /** Any other path, JSON both ways: `/version`, `/apis/authorization.k8s.io/v1/selfsubjectaccessreviews`. */
  raw<R>(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<R>;
  /** GET of a path whose answer is not JSON, such as `…/pods/<name>:<port>/proxy/metrics`. */
  text(path: string): Promise<string>;
  close(): Promise<void>;
}

/** A failed call to an API server. `code` is the HTTP status, 0 when no answer came. */
export class KubernetesError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly status: Status | undefined;

  constructor(message: string, code: number, reason: string, status?: Status, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KubernetesError';
    this.code = code;
    this.reason = reason;
    this.status = status;
  }
}
