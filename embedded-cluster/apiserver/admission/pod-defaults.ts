import { isObject, type JsonObject, valueAt } from '../json.ts';
import { storageName } from '../registry.ts';
import type { AdmissionPlugin } from './chain.ts';

/** Seconds that a pod stays on a node that is not ready or not reached (DefaultTolerationSeconds). */
const TOLERATION_SECONDS = 300;

const CONDITIONS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

/** What the Priority and DefaultTolerationSeconds plugins give a pod in a cluster without PriorityClasses. */
export const podDefaults: AdmissionPlugin = {
  mutate({ operation, call, object }) {
    if (operation !== 'CREATE' || call.subresource !== '' || storageName(call.type.resource) !== 'pods')
      return;
    const spec = object?.['spec'];
    if (!isObject(spec)) return;
    spec['priority'] ??= 0;
    spec['preemptionPolicy'] ??= 'PreemptLowerPriority';
    const tolerations: unknown[] = Array.isArray(spec['tolerations']) ? spec['tolerations'] : [];
    const missing = CONDITIONS.filter((key) => !tolerations.some((entry) => tolerates(entry, key)));
    spec['tolerations'] = [...tolerations, ...missing.map(toleration)];
  },
};

function tolerates(entry: unknown, key: string): boolean {
  const own = valueAt(entry, 'key') ?? '';
  const effect = valueAt(entry, 'effect') ?? '';
  return (own === key || own === '') && (effect === 'NoExecute' || effect === '');
}

function toleration(key: string): JsonObject {
  return { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: TOLERATION_SECONDS };
}
