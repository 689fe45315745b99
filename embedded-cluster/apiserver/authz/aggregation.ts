import type { LoopbackClient, StoredObject } from '../../types.ts';
import { equal, isObject, valueAt } from '../json.ts';
import { retryOnConflict } from '../operations/update.ts';
import { matchesLabelSelector } from '../selectors.ts';
import type { Store } from '../store/store.ts';
import { CLUSTER_ROLES } from './rbac.ts';
import { type PolicyRule, rulesOf } from './rules.ts';

/** Keeps the rules of aggregated ClusterRoles the union of the roles that they select. Call `close` to end it. */
export function aggregateClusterRoles(
  store: Store,
  client: LoopbackClient,
  onError: (error: unknown) => void,
): { settled(): Promise<void>; close(): void } {
  let running: Promise<void> | undefined;
  let again = false;
  const run = async (): Promise<void> => {
    do {
      again = false;
      for (const role of store.list(CLUSTER_ROLES)) {
        const rules = unionFor(role, store);
        if (rules === undefined || equal(rules, role['rules'] ?? [])) continue;
        await retryOnConflict(() =>
          client.patch(CLUSTER_ROLES, undefined, role.metadata.name ?? '', { rules }),
        ).catch(onError);
      }
    } while (again);
  };
  const start = (): void => {
    again = true;
    running ??= run().finally(() => {
      running = undefined;
    });
  };
  start();
  const unsubscribe = store.subscribe(CLUSTER_ROLES, start);
  return { settled: async () => running, close: unsubscribe };
}

function unionFor(role: StoredObject, store: Store): PolicyRule[] | undefined {
  const selectors = valueAt(role, 'aggregationRule.clusterRoleSelectors');
  if (!Array.isArray(selectors)) return undefined;
  const rules: PolicyRule[] = [];
  const seen = new Set<string>();
  for (const selector of selectors.filter(isObject)) {
    for (const other of store.list(CLUSTER_ROLES)) {
      if (other === role || !matchesLabelSelector(selector, other.metadata.labels ?? {})) continue;
      for (const rule of rulesOf(other)) {
        const key = JSON.stringify(rule);
        if (seen.has(key)) continue;
        seen.add(key);
        rules.push(rule);
      }
    }
  }
  return rules;
}
