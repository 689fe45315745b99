import type { ListMeta } from '../../../api/kubernetes-types.ts';
import type { ServedType } from '../../schema/types.ts';
import type { StoredObject, WatchEvent } from '../../types.ts';
import { badRequest, expiredContinue, plainError, tooLargeResourceVersion } from '../errors.ts';
import { isObject, valueAt } from '../json.ts';
import { storageName, toVersion } from '../registry.ts';
import { parseFieldSelector, parseLabelSelector, type Predicate } from '../selectors.ts';
import { keyOfObject, type Revision, type Store } from '../store/store.ts';

/** What list and watch select. `namespace` absent: all. */
export interface Selection {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface ListQuery extends Selection {
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: string;
}

export interface ListResult {
  items: StoredObject[];
  metadata: ListMeta;
}

/** Where the next page of a list starts: the snapshot's revision and the last key that was given out. */
interface ContinueToken {
  v: 1;
  revision: number;
  after: string;
}

/** A list in the version asked for, in the order of namespace and name; pages are one consistent snapshot. Throws 400 and 410. */
export function list(store: Store, type: ServedType, query: ListQuery): ListResult {
  const resource = storageName(type.resource);
  const token = query.continue === undefined ? undefined : parseContinue(query);
  const revision = token === undefined ? snapshotRevision(store, query) : revisionOf(token, store);
  const objects = store.listAt(resource, query.namespace, revision);
  const matches = selector(store, type, query);
  const selected = objects.filter((object) => matches(object));
  const first = token === undefined ? 0 : firstAfter(selected, token.after);
  const end = query.limit === undefined || query.limit <= 0 ? selected.length : first + query.limit;
  const page = selected.slice(first, end);
  const remaining = selected.length - first - page.length;
  const last = page.at(-1);
  return {
    items: page.map((object) => toVersion(object, type)),
    metadata: {
      resourceVersion: String(revision),
      ...(remaining > 0 && last !== undefined
        ? { continue: formatContinue({ v: 1, revision, after: keyOfObject(last) }) }
        : {}),
      // With a selector the real server doesn't know how many are left, and says nothing.
      ...(remaining > 0 && !isSelective(query) ? { remainingItemCount: remaining } : {}),
    },
  };
}

function isSelective({ labelSelector = '', fieldSelector = '' }: Selection): boolean {
  return labelSelector !== '' || fieldSelector !== '';
}

function snapshotRevision(store: Store, query: ListQuery): number {
  const { resourceVersion = '', resourceVersionMatch = '' } = query;
  const asked = requireReached(store, resourceVersion);
  return resourceVersionMatch === 'Exact' ? asked : store.revision;
}

/** The revision that a read asks for, 0 for any; throws 400, and 504 for one that is still to come. */
export function requireReached(store: Store, resourceVersion: string): number {
  const asked = parseResourceVersion(resourceVersion);
  if (asked > store.revision) throw tooLargeResourceVersion(asked, store.revision);
  return asked;
}

/** As `parseResourceVersion`, in the watch cache's words. */
function parseWatchVersion(text: string): number {
  if (text === '' || /^\d{1,15}$/.test(text)) return Number(text);
  throw plainError(
    `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}

/** 0 for absent; throws 400. */
function parseResourceVersion(text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return Number(text);
}

/** A token that goes on inconsistently takes the objects as they are. */
const NOW = -1;

function revisionOf(token: ContinueToken, store: Store): number {
  if (token.revision === NOW) return store.revision;
  if (token.revision < store.compacted) throw expiredContinue(formatContinue({ ...token, revision: NOW }));
  return token.revision;
}

function parseContinue(query: ListQuery): ContinueToken {
  if (query.resourceVersion !== undefined && query.resourceVersion !== '' && query.resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  try {
    const token: unknown = JSON.parse(Buffer.from(query.continue ?? '', 'base64url').toString('utf8'));
    if (
      isObject(token) &&
      token['v'] === 1 &&
      typeof token['revision'] === 'number' &&
      typeof token['after'] === 'string'
    ) {
      return { v: 1, revision: token['revision'], after: token['after'] };
    }
  } catch {
    // Told below, with what is wrong with every other bad token.
  }
  throw badRequest(
    'invalid continue token: continue key is not valid: it is not one that this server gave out',
  );
}

function formatContinue(token: ContinueToken): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function firstAfter(objects: readonly StoredObject[], key: string): number {
  const index = objects.findIndex((object) => keyOfObject(object) > key);
  return index === -1 ? objects.length : index;
}

function selector(store: Store, type: ServedType, query: Selection): Predicate {
  const { labelSelector = '', fieldSelector = '' } = query;
  const byLabels = parseLabelSelector(labelSelector);
  if (fieldSelector === '') return byLabels;
  const byFields = parseFieldSelector(
    fieldSelector,
    storageName(type.resource),
    selectableFields(store, type),
  );
  return (object) => byLabels(object) && byFields(object);
}

/** `spec.versions[].selectableFields` of a custom resource, without the leading dot. */
function selectableFields(store: Store, type: ServedType): string[] {
  const { group, plural, version, custom } = type.resource;
  if (!custom) return [];
  const crd = store.get('customresourcedefinitions.apiextensions.k8s.io', undefined, `${plural}.${group}`);
  const versions = valueAt(crd, 'spec.versions');
  if (!Array.isArray(versions)) return [];
  const served: unknown = versions.find((entry) => valueAt(entry, 'name') === version);
  const fields = valueAt(served, 'selectableFields');
  return Array.isArray(fields)
    ? fields.map((field) => String(valueAt(field, 'jsonPath')).replace(/^\./, ''))
    : [];
}

export interface WatchQuery extends Selection {
  /** '' and '0': from now, after the objects that are there. */
  resourceVersion: string;
  /** Begin with the objects that are there, then the bookmark that ends them (KEP-3157). */
  sendInitialEvents?: boolean;
}

/** metav1 annotation of the bookmark that ends the initial events. */
export const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export type WatchHandler = (event: WatchEvent, initialEventsEnd?: boolean) => void;

/**
 * Calls the handler for what is there (where asked), what came after `resourceVersion`, and then within each write.
 * Throws 400 and 410 before the first event.
 */
export function watch(
  store: Store,
  type: ServedType,
  query: WatchQuery,
  handler: WatchHandler,
): { close(): void } {
  const resource = storageName(type.resource);
  const matches = selector(store, type, query);
  const tell = (revision: Revision): void => {
    if (query.namespace !== undefined && revision.object.metadata.namespace !== query.namespace) return;
    const event = selectEvent(revision, matches);
    if (event !== undefined) handler({ type: event.type, object: toVersion(event.object, type) });
  };
  const asked = parseWatchVersion(query.resourceVersion);
  const fresh = query.sendInitialEvents ?? asked === 0;
  if (fresh) {
    for (const object of store.list(resource, query.namespace)) {
      if (matches(object)) handler({ type: 'ADDED', object: toVersion(object, type) });
    }
    if (query.sendInitialEvents === true) {
      handler({ type: 'BOOKMARK', resourceVersion: String(store.revision) }, true);
    }
  } else {
    const from = asked === 0 ? store.revision : Math.min(asked, store.revision);
    for (const revision of store.since(resource, from)) tell(revision);
  }
  // Within another watch's handler, writes may be in the store that have not been told yet; they are in what was told above.
  // A revision that is still to come is waited for, as by etcd.
  const told = fresh ? store.revision : Math.max(store.revision, asked);
  return {
    close: store.subscribe(resource, (revision) => {
      if (revision.revision > told) tell(revision);
    }),
  };
}

/** An object that begins to match is ADDED for this watch, one that ceases to is DELETED as it was. */
function selectEvent(
  { type, object, previous }: Revision,
  matches: Predicate,
): { type: Revision['type']; object: StoredObject } | undefined {
  const before = previous !== undefined && matches(previous);
  const after = type !== 'DELETED' && matches(object);
  if (after) return { type: before ? 'MODIFIED' : 'ADDED', object };
  if (!before) return undefined;
  if (type === 'DELETED') return { type, object };
  const { resourceVersion } = object.metadata;
  const metadata = { ...previous.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  return { type: 'DELETED', object: { ...previous, metadata } };
}
