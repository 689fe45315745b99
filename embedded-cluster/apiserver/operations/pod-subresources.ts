import type { Status } from '../../../api/kubernetes-types.ts';
import { conflict, invalid } from '../errors.ts';
import { isObject, type JsonObject, valueAt } from '../json.ts';
import { type Call, type Core, timestamp } from './core.ts';
import { updateLive } from './update.ts';

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
