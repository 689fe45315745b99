import type { ObjectMeta } from '../../api/kubernetes-types.ts';

interface Named {
  metadata?: ObjectMeta | undefined;
}

/** Of routes that fit a request alike the oldest counts, then the first by name (Gateway API): where they stand first, proxies take them. */
export function byAge<T extends Named>(routes: readonly T[]): T[] {
  return [...routes].sort((a, b) => compare(ageOf(a), ageOf(b)) || compare(nameOf(a), nameOf(b)));
}

function ageOf({ metadata }: Named): string {
  return metadata?.creationTimestamp ?? '';
}

function nameOf({ metadata }: Named): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
