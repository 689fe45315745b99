import type { Condition } from '../api/kubernetes-types.ts';

/** What a condition says; the rest is kept by `setCondition`. */
export interface NewCondition {
  type: string;
  status: Condition['status'];
  reason: string;
  message: string;
  observedGeneration?: number;
}

/**
 * The conditions with one of them set. `lastTransitionTime` moves only when the status changes. The very same array comes back when
 * nothing differs, so that a caller sees that there is nothing to write.
 */
export function setCondition(
  conditions: readonly Condition[],
  next: NewCondition,
  wallNow: number,
): readonly Condition[] {
  const old = conditions.find((c) => c.type === next.type);
  const moved = old?.status !== next.status;
  const lastTransitionTime = (moved ? undefined : old.lastTransitionTime) ?? new Date(wallNow).toISOString();
  const condition: Condition = { ...next, lastTransitionTime };
  if (old !== undefined && same(old, condition)) return conditions;
  if (old === undefined) return [...conditions, condition];
  return conditions.map((c) => (c === old ? condition : c));
}

/** The condition of that type. */
export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((c) => c.type === type);
}

function same(a: Condition, b: Condition): boolean {
  return (
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration &&
    a.lastTransitionTime === b.lastTransitionTime
  );
}
