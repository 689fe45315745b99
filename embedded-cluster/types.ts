import type { KubernetesObject, ObjectMeta, Status } from '../api/kubernetes-types.ts';

/** An object as the API server holds it: always with its type and metadata. */
export interface StoredObject extends KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** One served resource: what discovery says of it and what storage needs to know. */
export interface ResourceType {
  /** '' for core. */
  group: string;
  version: string;
  kind: string;
  listKind: string;
  plural: string;
  singular: string;
  shortNames: readonly string[];
  categories: readonly string[];
  namespaced: boolean;
  verbs: readonly string[];
  /** Names such as `status`, `scale`, `log`, `token`, `eviction`. */
  subresources: readonly Subresource[];
  /** Served by a CustomResourceDefinition. */
  custom: boolean;
}

/** What is served below an object's name. */
export interface Subresource {
  name: string;
  /** Kind that the subresource speaks, with its group and version where they differ from the parent's. */
  kind: string;
  group?: string;
  version?: string;
  verbs: readonly string[];
}

/** Names a resource without its version, as storage does. */
export interface GroupResource {
  group: string;
  resource: string;
}

/** A change of an object; a bookmark only tells how far the watch is. */
export type WatchEvent =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: StoredObject }
  | { type: 'BOOKMARK'; resourceVersion: string };

export interface ListOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/**
 * The API as the cluster's own controllers and node agent use it: same admission, validation, resourceVersions and
 * errors as over HTTPS, without the connection. `resource` is `plural` for core and `plural.group` otherwise (`pods`,
 * `deployments.apps`). Objects passed in are not kept; objects handed out must not be changed. Every failure throws an
 * ApiError.
 */
export interface LoopbackClient {
  /**
   * Every resource that is served now, one entry a resource (its storage version), custom ones included: what garbage
   * collection and namespace deletion go through.
   */
  resources(): readonly ResourceType[];
  get(resource: string, namespace: string | undefined, name: string): StoredObject | undefined;
  list(resource: string, options?: ListOptions): { items: StoredObject[]; resourceVersion: string };
  /** Events after `resourceVersion` (from a list), in order; the handler is called synchronously after the write. */
  watch(
    resource: string,
    options: ListOptions & { resourceVersion: string },
    handler: (event: WatchEvent) => void,
  ): { close(): void };
  /**
   * With `subresource` (`token` of ServiceAccounts, `binding` of pods) the parent is named by `metadata.name` and `metadata.namespace` of `object`, and the
   * answer is what that subresource answers over HTTPS.
   */
  create(
    resource: string,
    object: KubernetesObject,
    options?: { subresource?: string },
  ): Promise<StoredObject>;
  /** With `metadata.resourceVersion` set a stale one throws 409 Conflict. */
  update(
    resource: string,
    object: KubernetesObject,
    options?: { subresource?: string },
  ): Promise<StoredObject>;
  /** JSON merge patch (RFC 7386). */
  patch(
    resource: string,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options?: { subresource?: string },
  ): Promise<StoredObject>;
  delete(
    resource: string,
    namespace: string | undefined,
    name: string,
    options?: {
      gracePeriodSeconds?: number;
      propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
      preconditions?: { uid?: string; resourceVersion?: string };
    },
  ): Promise<void>;
}

/** What a Status says beside its message. */
export interface FailureParts {
  reason?: string;
  details?: Status['details'] | undefined;
}

/** A failure with the Status body that a client gets. */
export class ApiError extends Error {
  readonly status: Status;

  /** A failure with that status of HTTP. */
  static of(code: number, message: string, { reason, details }: FailureParts = {}): ApiError {
    return new ApiError({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === undefined ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    });
  }

  constructor(status: Status) {
    super(status.message ?? 'unknown error');
    this.name = 'ApiError';
    this.status = status;
  }

  get code(): number {
    return this.status.code ?? 500;
  }

  get reason(): string {
    return this.status.reason ?? '';
  }
}
