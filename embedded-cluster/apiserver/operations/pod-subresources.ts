import type { Status } from '../../../api/kubernetes-types.ts';
import { badRequest, conflict, invalid, tooManyRequests } from '../errors.ts';
import { isObject, type JsonObject, valueAt } from '../json.ts';
import { matchesLabelSelector } from '../selectors.ts';
import { type Call, type Core, timestamp } from './core.ts';
import { remove } from './delete.ts';
import { requireLive, updateLive } from './update.ts';

const SUCCESS: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

/** How messages name the subresource. */
const BINDING = { group: '', resource: 'pods/binding' };

/** POST of `pods/binding`: puts a pod on a node, once. */
export async function bind(core: Core, call: Call, binding: unknown): Promise<Status> {
  const node = valueAt(binding, 'target.name');
  if (typeof node !== 'string' || node === '') {
    throw invalid('Binding', '', call.name, [
      { field: 'target.name', reason: 'FieldValueRequired', message: 'Required value' },
    ]);
  }
  await updateLive(core, call, (pod) => {
    if (pod.metadata.deletionTimestamp !== undefined) {
      throw conflict(BINDING, call.name, `pod ${call.name} is being deleted, cannot be assigned to a host`);
    }
    const assigned = valueAt(pod, 'spec.nodeName');
    if (assigned !== undefined && assigned !== '') {
      throw conflict(
        BINDING,
        call.name,
        `pod ${call.name} is already assigned to node ${JSON.stringify(assigned)}`,
      );
    }
    pod['spec'] = { ...(isObject(pod['spec']) ? pod['spec'] : {}), nodeName: node };
    delete pod.metadata.resourceVersion;
    return { object: pod, managed: false, by: '' };
  });
  await setScheduled(core, { ...call, subresource: 'status' });
  return SUCCESS;
}

async function setScheduled(core: Core, call: Call): Promise<void> {
  await updateLive(core, call, (pod) => {
    const status: JsonObject = isObject(pod['status']) ? pod['status'] : {};
    const conditions = Array.isArray(status['conditions']) ? status['conditions'] : [];
    const others = conditions.filter((condition) => valueAt(condition, 'type') !== 'PodScheduled');
    const scheduled = {
      type: 'PodScheduled',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: timestamp(core.now()),
    };
    pod['status'] = { ...status, conditions: [...others, scheduled] };
    delete pod.metadata.resourceVersion;
    return { object: pod, managed: false };
  });
}

/** POST of `pods/eviction`: a deletion that PodDisruptionBudgets may refuse (429). */
export async function evict(core: Core, call: Call, eviction: unknown): Promise<Status> {
  const pod = requireLive(core, { ...call, subresource: '' });
  const options = valueAt(eviction, 'deleteOptions');
  if (options !== undefined && !isObject(options))
    throw badRequest('deleteOptions of an Eviction must be an object');
  const phase = valueAt(pod, 'status.phase');
  const disrupts =
    phase !== 'Succeeded' && phase !== 'Failed' && pod.metadata.deletionTimestamp === undefined;
  for (const budget of disrupts ? core.store.list('poddisruptionbudgets.policy', call.namespace) : []) {
    const selector = valueAt(budget, 'spec.selector');
    if (!isObject(selector) || !matchesLabelSelector(selector, pod.metadata.labels ?? {})) continue;
    if (Number(valueAt(budget, 'status.disruptionsAllowed') ?? 0) > 0) continue;
    throw tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0);
  }
  await remove(core, { ...call, subresource: '' }, options ?? {});
  return SUCCESS;
}
