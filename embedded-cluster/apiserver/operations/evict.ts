import type { Status } from '../../../api/kubernetes-types.ts';
import { badRequest, evictionRefused, plainError } from '../errors.ts';
import { isObject, type JsonObject, valueAt } from '../json.ts';
import { matchesLabelSelector } from '../selectors.ts';
import type { StoredObject } from '../../types.ts';
import { type Call, type Core, timestamp } from './core.ts';
import { remove } from './delete.ts';
import { requireLive, updateLive } from './update.ts';

const SUCCESS: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };
const BUDGETS = 'poddisruptionbudgets.policy';
/** Seconds in which the disruption controller has looked at a budget that was just written. */
const PROCESSED_WITHIN_SECONDS = 10;

/** POST of `pods/eviction` (policy/v1): a deletion that a PodDisruptionBudget may refuse (429), and that counts against it. */
export async function evict(core: Core, call: Call, eviction: unknown): Promise<Status> {
  const name = valueAt(eviction, 'metadata.name');
  if (name !== undefined && name !== call.name)
    throw badRequest('name in URL does not match name in Eviction object');
  const options = valueAt(eviction, 'deleteOptions');
  if (options !== undefined && !isObject(options))
    throw badRequest('deleteOptions of an Eviction must be an object');
  const pod = requireLive(core, { ...call, subresource: '' });
  const dryRun = call.dryRun || valueAt(options, 'dryRun.0') === 'All';
  if (isDisrupting(pod)) await spend(core, call, pod, dryRun);
  await remove(core, { ...call, subresource: '', dryRun }, options ?? {});
  return SUCCESS;
}

/** Losing a pod that has ended, has not begun or is going already disrupts nothing. */
function isDisrupting(pod: StoredObject): boolean {
  const phase = valueAt(pod, 'status.phase');
  return (
    phase !== 'Succeeded' &&
    phase !== 'Failed' &&
    phase !== 'Pending' &&
    pod.metadata.deletionTimestamp === undefined
  );
}

/** Takes one disruption from the budget that guards a pod; throws when there is none left, or more than one budget. */
async function spend(core: Core, call: Call, pod: StoredObject, dryRun: boolean): Promise<void> {
  const [budget, another] = core.store.list(BUDGETS, call.namespace).filter((one) => guards(one, pod));
  if (another !== undefined) {
    throw plainError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  }
  if (budget === undefined || isExpendable(budget, pod)) return;
  requireRoom(budget);
  const type = core.registry.find('policy', 'v1', 'poddisruptionbudgets');
  if (dryRun || type === undefined) return;
  const now = timestamp(core.now());
  const spending = { ...call, type, name: budget.metadata.name ?? '', subresource: 'status' };
  await updateLive(core, spending, (live) => {
    requireRoom(live);
    const status = statusOf(live);
    const disruptedPods = { ...(status['disruptedPods'] as JsonObject | undefined), [call.name]: now };
    const disruptionsAllowed = Number(status['disruptionsAllowed']) - 1;
    return { object: { ...live, status: { ...status, disruptionsAllowed, disruptedPods } }, managed: false };
  });
}

function guards(budget: StoredObject, pod: StoredObject): boolean {
  const selector = valueAt(budget, 'spec.selector');
  return isObject(selector) && matchesLabelSelector(selector, pod.metadata.labels ?? {});
}

/** A pod that is not ready may go where enough others are, or where the budget says so (KEP-3017). */
function isExpendable(budget: StoredObject, pod: StoredObject): boolean {
  const conditions = valueAt(pod, 'status.conditions');
  const ready =
    Array.isArray(conditions) &&
    conditions.some((one) => valueAt(one, 'type') === 'Ready' && valueAt(one, 'status') === 'True');
  if (ready) return false;
  if (valueAt(budget, 'spec.unhealthyPodEvictionPolicy') === 'AlwaysAllow') return true;
  const { currentHealthy, desiredHealthy } = statusOf(budget);
  return Number(currentHealthy) >= Number(desiredHealthy) && Number(desiredHealthy) > 0;
}

function requireRoom(budget: StoredObject): void {
  const { name = '', generation = 0 } = budget.metadata;
  const { observedGeneration = 0, disruptionsAllowed, desiredHealthy, currentHealthy } = statusOf(budget);
  if (Number(observedGeneration) < generation) {
    throw evictionRefused(
      `The disruption budget ${name} is still being processed by the server.`,
      PROCESSED_WITHIN_SECONDS,
    );
  }
  if (Number(disruptionsAllowed) > 0) return;
  throw evictionRefused(
    `The disruption budget ${name} needs ${Number(desiredHealthy)} healthy pods and has ${Number(currentHealthy)} currently`,
  );
}

function statusOf(budget: StoredObject): JsonObject {
  return isObject(budget['status']) ? budget['status'] : {};
}
