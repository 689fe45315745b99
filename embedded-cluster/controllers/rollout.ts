/** What a rollout is decided from: spec replicas and available pods of each ReplicaSet. */
export interface SetView {
  name: string;
  replicas: number;
  available: number;
}

/** A Deployment in the midst of a rollout. */
export interface RolloutView {
  replicas: number;
  maxSurge: number;
  maxUnavailable: number;
  current: SetView;
  /** Oldest first. */
  old: readonly SetView[];
}

/** New sizes by name of ReplicaSet; what is not named stays. */
export type Scaling = ReadonlyMap<string, number>;

/** How many pods above and below `replicas` a rolling update may have. Per cent of surge are rounded up, of unavailable down; both 0 would never move. */
export function rolloutBounds(
  replicas: number,
  maxSurge: number | string = '25%',
  maxUnavailable: number | string = '25%',
): { maxSurge: number; maxUnavailable: number } {
  const surge = scaled(maxSurge, replicas, Math.ceil);
  const unavailable = Math.min(replicas, scaled(maxUnavailable, replicas, Math.floor));
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

/**
 * The next step of a rolling update (the deployment controller's own arithmetic): first the current set grows as far as the surge allows; when it can't, old
 * sets shrink: pods that are not available first, then as many as the least availability leaves.
 */
export function rollingStep(view: RolloutView): Scaling {
  const grown = growCurrent(view);
  return grown.size > 0 ? grown : shrinkOld(view);
}

function growCurrent({ replicas, maxSurge, current, old }: RolloutView): Scaling {
  if (current.replicas === replicas) return new Map();
  if (current.replicas > replicas) return new Map([[current.name, replicas]]);
  const room = replicas + maxSurge - total([current, ...old]);
  const more = Math.min(room, replicas - current.replicas);
  return more > 0 ? new Map([[current.name, current.replicas + more]]) : new Map();
}

function shrinkOld({ replicas, maxUnavailable, current, old }: RolloutView): Scaling {
  const result = new Map<string, number>();
  const least = replicas - maxUnavailable;
  const currentUnavailable = current.replicas - current.available;
  let budget = total([current, ...old]) - least - currentUnavailable;
  const sizes = new Map(old.map((set) => [set.name, set.replicas]));
  const shrink = (name: string, by: number): void => {
    const size = (sizes.get(name) ?? 0) - by;
    sizes.set(name, size);
    result.set(name, size);
  };
  for (const set of old) {
    const by = Math.min(budget, set.replicas - set.available);
    if (by <= 0) continue;
    shrink(set.name, by);
    budget -= by;
  }
  const available = [current, ...old].reduce((sum, set) => sum + set.available, 0);
  let spare = Math.min(budget, available - least);
  for (const set of old) {
    const by = Math.min(spare, sizes.get(set.name) ?? 0);
    if (by <= 0) continue;
    shrink(set.name, by);
    spare -= by;
  }
  return result;
}

/**
 * Sizes after `replicas` was changed in the middle of a rollout: the difference is shared among the sets by their size, the largest first; what rounding
 * leaves goes to the first.
 */
export function proportionalScaling(sets: readonly SetView[], allowed: number): Scaling {
  const all = total(sets);
  const result = new Map<string, number>();
  let left = allowed - all;
  if (left === 0 || all === 0) return result;
  const sorted = [...sets].sort((a, b) => b.replicas - a.replicas);
  for (const set of sorted) {
    const share = Math.trunc((set.replicas * (allowed - all)) / all);
    const by = left > 0 ? Math.min(share, left) : Math.max(share, left);
    result.set(set.name, Math.max(0, set.replicas + by));
    left -= by;
  }
  // A set can't go below nothing: what the largest can't take goes to the next.
  for (const set of sorted) {
    const size = result.get(set.name) ?? 0;
    const by = Math.max(left, -size);
    result.set(set.name, size + by);
    left -= by;
  }
  return result;
}

function total(sets: readonly SetView[]): number {
  return sets.reduce((sum, set) => sum + set.replicas, 0);
}

function scaled(value: number | string, of: number, round: (n: number) => number): number {
  if (typeof value === 'number') return value;
  return value.endsWith('%') ? round((Number.parseFloat(value) * of) / 100) : Number(value);
}
