import type { SliceEndpoint } from './kubernetes-types.ts';

/**
 * Whether an endpoint of a slice is to be sent to: `ready`, for all; `leaving`: it is being ended and still answers,
 * for those who have no ready one; undefined: nobody. An absent condition means ready (KEP-752).
 */
export function endpointState({
  conditions,
}: Pick<SliceEndpoint, 'conditions'>): 'ready' | 'leaving' | undefined {
  if (conditions?.ready !== false) return 'ready';
  return conditions.serving === true && conditions.terminating === true ? 'leaving' : undefined;
}
