import type { StoredObject } from '../../types.ts';
import { badRequest, invalid } from '../errors.ts';
import { isObject, setAt, valueAt, text } from '../json.ts';
import { type Call, type Core, groupResource } from './core.ts';
import { type Patch, patched } from './patch.ts';
import { requireLive, updateLive } from './update.ts';

/** Where a resource keeps what autoscaling/v1 Scale shows. */
interface ScalePaths {
  spec: string;
  status: string;
  selector: string | undefined;
}

const BUILTIN_PATHS: ScalePaths = { spec: 'spec.replicas', status: 'status.replicas', selector: undefined };

function pathsOf(core: Core, call: Call): ScalePaths {
  const { group, plural, version, custom } = call.type.resource;
  if (!custom) return BUILTIN_PATHS;
  const crd = core.store.get(
    'customresourcedefinitions.apiextensions.k8s.io',
    undefined,
    `${plural}.${group}`,
  );
  const versions = valueAt(crd, 'spec.versions');
  const entry: unknown = Array.isArray(versions)
    ? versions.find((item) => valueAt(item, 'name') === version)
    : undefined;
  const scale = valueAt(entry, 'subresources.scale');
  const selector = valueAt(scale, 'labelSelectorPath');
  return {
    spec: text(valueAt(scale, 'specReplicasPath') ?? BUILTIN_PATHS.spec),
    status: text(valueAt(scale, 'statusReplicasPath') ?? BUILTIN_PATHS.status),
    selector: typeof selector === 'string' ? selector : undefined,
  };
}

/** GET of `scale`. */
export function getScale(core: Core, call: Call): StoredObject {
  return scaleOf(core, call, requireLive(core, call));
}

function scaleOf(core: Core, call: Call, object: StoredObject): StoredObject {
  const paths = pathsOf(core, call);
  const replicas = valueAt(object, paths.spec) ?? 0;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.selector === undefined ? selectorText(object) : valueAt(object, paths.selector);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    // Zero is left out, as Go writes it.
    spec: replicas === 0 ? {} : { replicas },
    status: {
      replicas: valueAt(object, paths.status) ?? 0,
      ...(typeof selector === 'string' && selector !== '' ? { selector } : {}),
    },
  };
}

/** The label selector of a built-in workload as text, as Scale holds it. */
function selectorText(object: StoredObject): string {
  const labels = valueAt(object, 'spec.selector.matchLabels');
  if (!isObject(labels)) return '';
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}

/** PUT of `scale`. */
export async function replaceScale(core: Core, call: Call, input: unknown): Promise<StoredObject> {
  const kind = valueAt(input, 'kind') ?? 'Scale';
  if (kind !== 'Scale') {
    throw badRequest(
      `${text(kind)} in version "v1" cannot be handled as a Scale: converting (v1.${text(kind)}) to (autoscaling.Scale): unknown conversion`,
    );
  }
  return changeScale(core, call, () => input);
}

/** PATCH of `scale` (JSON, merge, strategic: the last is a merge, for Scale has no lists). */
export async function patchScale(core: Core, call: Call, request: Patch): Promise<StoredObject> {
  const type = request.type.includes('strategic') ? 'application/merge-patch+json' : request.type;
  return changeScale(core, call, (scale) => {
    const object = patched(call, scale, { ...request, type });
    const replicas = valueAt(object, 'spec.replicas') ?? 0;
    if (Number.isInteger(replicas)) return object;
    const message = `Invalid value: ${JSON.stringify(JSON.stringify(object))}: json: cannot unmarshal ${typeof replicas} into Go struct field ScaleSpec.spec.replicas of type int32`;
    throw invalid('', '', '', [{ field: 'patch', reason: 'FieldValueInvalid', message }]);
  });
}

async function changeScale(
  core: Core,
  call: Call,
  produce: (scale: StoredObject) => unknown,
): Promise<StoredObject> {
  const main: Call = { ...call, subresource: '' };
  const object = await updateLive(core, main, (live) => {
    const wanted = produce(scaleOf(core, call, live));
    const replicas = valueAt(wanted, 'spec.replicas') ?? 0;
    requireReplicas(call, replicas);
    const resourceVersion = valueAt(wanted, 'metadata.resourceVersion');
    setAt(live, pathsOf(core, call).spec, replicas);
    if (typeof resourceVersion === 'string' && resourceVersion !== '')
      live.metadata.resourceVersion = resourceVersion;
    else delete live.metadata.resourceVersion;
    return { object: live, managed: false, by: 'scale' };
  });
  return scaleOf(core, call, object);
}

function requireReplicas(call: Call, replicas: unknown): void {
  if (typeof replicas !== 'number' || !Number.isInteger(replicas)) {
    throw badRequest(
      `Scale in version "v1" cannot be handled as a Scale: spec.replicas of ${groupResource(call.type).resource} must be an integer`,
    );
  }
  if (replicas >= 0) return;
  throw invalid('Scale', 'autoscaling', call.name, [
    {
      field: 'spec.replicas',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
    },
  ]);
}
