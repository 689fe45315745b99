import type { ListMeta } from '../../../api/kubernetes-types.ts';
import type { ServedType } from '../../schema/types.ts';
import type { StoredObject } from '../../types.ts';
import { badRequest, notAcceptable } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { ListResult } from '../operations/read.ts';
import { apiVersionOf } from '../registry.ts';

/** In which shape a client wants objects (its `Accept` header). Everything is JSON: protobuf is not spoken, and those who ask for it take JSON. */
export type Representation =
  | { as: 'object' }
  | { as: 'metadata' }
  | { as: 'table'; includeObject: 'None' | 'Metadata' | 'Object' };

interface MediaRange {
  /** `application/json` */
  media: string;
  as: string;
  group: string;
  version: string;
}

/** The parameters of each media range, in the client's order. */
export function mediaRanges(accept: string): MediaRange[] {
  return accept.split(',').map((range) => {
    const parameters = new Map(
      range
        .split(';')
        .slice(1)
        .map((parameter) => {
          const [key = '', value = ''] = parameter.trim().split('=');
          return [key, value] as const;
        }),
    );
    return {
      media: range.split(';', 1)[0]?.trim().toLowerCase() ?? '',
      as: parameters.get('as') ?? '',
      group: parameters.get('g') ?? '',
      version: parameters.get('v') ?? '',
    };
  });
}

const AVAILABLE = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const ACCEPTED = new Set([...AVAILABLE, '*/*']);

/** The first shape of the header that is known here, for an answer of that kind; throws 406. */
export function negotiate(
  accept: string | undefined,
  includeObject: string | null,
  answer: 'object' | 'list',
): Representation {
  if (accept === undefined || accept.trim() === '') return { as: 'object' };
  const metadataKind = answer === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata';
  const ranges = mediaRanges(accept).filter(({ media }) => ACCEPTED.has(media));
  for (const { as, group, version } of ranges) {
    if (as === '') return { as: 'object' };
    if (group !== 'meta.k8s.io' || version !== 'v1') continue;
    if (as === metadataKind) return { as: 'metadata' };
    if (as === 'Table') {
      return { as: 'table', includeObject: includedObject(includeObject) };
    }
  }
  if (ranges.some(({ as }) => as === 'PartialObjectMetadataList')) {
    throw notAcceptable('you requested PartialObjectMetadataList, but the requested object is not a list');
  }
  if (ranges.length > 0)
    throw notAcceptable(`only the following media types are accepted: ${AVAILABLE.join(', ')}`);
  throw notAcceptable(`406: Not Acceptable\n\nAvailable representations: ${AVAILABLE.join(', ')}`, {});
}

function includedObject(asked: string | null): 'None' | 'Metadata' | 'Object' {
  if (asked === null || asked === '' || asked === 'Metadata') return 'Metadata';
  if (asked === 'None' || asked === 'Object') return asked;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(asked)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

const META_VERSION = 'meta.k8s.io/v1';

function partial(object: StoredObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: META_VERSION, metadata: object.metadata };
}

/** One object; `columns` false leaves them out of a table (all but the first event of a watch). */
export function renderObject(
  object: StoredObject,
  type: ServedType,
  representation: Representation,
  now: number,
  columns = true,
): object {
  if (representation.as === 'object') return object;
  if (representation.as === 'metadata') return partial(object);
  const { resourceVersion } = object.metadata;
  const metadata = resourceVersion === undefined ? {} : { resourceVersion };
  return table([object], metadata, type, representation.includeObject, now, columns);
}

export function renderList(
  list: ListResult,
  type: ServedType,
  representation: Representation,
  now: number,
): object {
  if (representation.as === 'table') {
    return table(list.items, list.metadata, type, representation.includeObject, now, true);
  }
  if (representation.as === 'metadata') {
    return {
      kind: 'PartialObjectMetadataList',
      apiVersion: META_VERSION,
      metadata: list.metadata,
      items: list.items.map(partial),
    };
  }
  return {
    kind: type.resource.listKind,
    apiVersion: apiVersionOf(type.resource),
    // Custom resources' lists always have the field.
    metadata: type.resource.custom ? { continue: '', ...list.metadata } : list.metadata,
    // Items of built-in lists carry no type, as those of kube-apiserver; those of custom resources do.
    items: type.resource.custom
      ? list.items
      : list.items.map(({ apiVersion: _version, kind: _kind, ...rest }) => rest),
  };
}

function table(
  objects: readonly StoredObject[],
  metadata: ListMeta,
  { printer }: ServedType,
  includeObject: 'None' | 'Metadata' | 'Object',
  now: number,
  columns: boolean,
): object {
  return {
    kind: 'Table',
    apiVersion: META_VERSION,
    metadata,
    columnDefinitions: columns ? printer.columns : null,
    rows: objects.map((object) => ({
      cells: printer.row(object, now),
      object: includeObject === 'None' ? null : includeObject === 'Object' ? object : partial(object),
    })),
  };
}
