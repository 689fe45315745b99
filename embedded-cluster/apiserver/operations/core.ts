import type { ServedType } from '../../schema/types.ts';
import type { GroupResource, StoredObject } from '../../types.ts';
import type { Registry } from '../registry.ts';
import type { Store } from '../store/store.ts';

/** Who asks (authentication.k8s.io UserInfo). */
export interface UserInfo {
  username: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/** The cluster's own controllers: everything is allowed, admission still runs. */
export const SYSTEM_USER: UserInfo = { username: 'system:apiserver', groups: ['system:masters'] };

/** What one request asks of one resource, free of how it came in. */
export interface Call {
  readonly user: UserInfo;
  readonly type: ServedType;
  readonly namespace: string | undefined;
  /** '' for the collection. */
  readonly name: string;
  /** '' for none. */
  readonly subresource: string;
  readonly dryRun: boolean;
  /** As asked for; '' when the client named none. */
  readonly fieldManager: string;
  /** The client's own word for it; absent when it gave none and the server made one up. */
  readonly namedManager?: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  /** A text for the client's `Warning` header. */
  readonly warn: (text: string) => void;
}

export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly call: Call;
  readonly name: string;
  /** Mutators change it in place. */
  object: StoredObject | undefined;
  readonly oldObject: StoredObject | undefined;
}

/** What may change or refuse a write. A refusal is thrown as an ApiError. */
export interface Admission {
  /** Resolves to true when a webhook has changed the object. */
  mutate(request: AdmissionRequest): Promise<boolean>;
  validate(request: AdmissionRequest): Promise<void>;
}

/** Values that the server hands out within a write, such as ClusterIPs; called in the same turn as the commit, so that no two writes get the same. */
export type Allocator = (object: StoredObject, live: StoredObject | undefined, call: Call) => void;

/** What every operation needs. */
export interface Core {
  readonly store: Store;
  readonly registry: Registry;
  /** ms since the epoch. */
  readonly now: () => number;
  readonly admission: Admission;
  readonly allocate: Allocator;
  /** Checks that depend on other objects and on who asks, such as RBAC's escalation rule; throws. */
  readonly authorizeWrite: (call: Call, object: StoredObject, live: StoredObject | undefined) => void;
}

/** The name of a type's resource, as errors and rules have it. */
export function groupResource(type: ServedType): GroupResource {
  return { group: type.resource.group, resource: type.resource.plural };
}

/** metav1.Time: RFC 3339 in seconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Does a type have a subresource of this name? */
export function hasSubresource(type: ServedType, name: string): boolean {
  return type.resource.subresources.some((subresource) => subresource.name === name);
}

/** Puts ownership into an object; none at all is left out rather than empty. */
export function setManagedFields(
  object: StoredObject,
  entries: NonNullable<StoredObject['metadata']['managedFields']>,
): void {
  if (entries.length === 0) delete object.metadata.managedFields;
  else object.metadata.managedFields = entries;
}
