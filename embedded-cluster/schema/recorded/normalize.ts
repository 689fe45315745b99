/**
 * Fields that storage, allocation, admission or a kind's create strategy set: they are not the schema's, so they are left out on both sides.
 * `*` stands for every item of a list.
 */
const serverFields: Readonly<Record<string, readonly string[]>> = {
  '': [
    'metadata.uid',
    'metadata.resourceVersion',
    'metadata.generation',
    'metadata.creationTimestamp',
    'metadata.namespace',
  ],
  Pod: [
    'spec.tolerations',
    'spec.priority',
    'spec.preemptionPolicy',
    'spec.serviceAccount',
    'spec.serviceAccountName',
    'status.qosClass',
    'status.phase',
  ],
  Service: [
    'spec.clusterIP',
    'spec.clusterIPs',
    'spec.ipFamilies',
    'spec.ipFamilyPolicy',
    'spec.ports.*.nodePort',
  ],
  Namespace: ['spec.finalizers'],
  Node: ['spec.taints'],
  Job: [
    'spec.selector',
    'spec.template.metadata.labels',
    'metadata.labels',
    'spec.template.metadata.creationTimestamp',
  ],
  CustomResourceDefinition: ['status'],
  DaemonSet: ['metadata.annotations'],
};

/** A copy without them; times in managedFields are left out too. */
export function withoutServerFields(object: Record<string, unknown>): Record<string, unknown> {
  const copy = structuredClone(object);
  const kind = String(object['kind']);
  for (const path of [...(serverFields[''] ?? []), ...(serverFields[kind] ?? [])])
    remove(copy, path.split('.'));
  const metadata = copy['metadata'] as { managedFields?: { time?: string; fieldsV1?: unknown }[] };
  for (const entry of metadata.managedFields ?? []) {
    delete entry.time;
    for (const path of serverFields[kind] ?? []) {
      remove(
        entry.fieldsV1,
        path.split('.').map((name) => `f:${name}`),
      );
    }
  }
  return copy;
}

function remove(value: unknown, path: readonly string[]): void {
  if (typeof value !== 'object' || value === null) return;
  const [first = '', ...rest] = path;
  const children = value as Record<string, unknown>;
  if (first === '*' || first === 'f:*') {
    for (const child of Object.values(children)) remove(child, rest);
  } else if (rest.length === 0) {
    delete children[first];
  } else {
    remove(children[first], rest);
    // Ownership of nothing is not recorded.
    if (first.startsWith('f:') && isEmpty(children[first])) delete children[first];
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
