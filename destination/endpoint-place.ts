import { isDeepStrictEqual } from 'node:util';

import { endpointState } from '../api/endpoint-conditions.ts';
import type { SliceEndpoint } from '../api/kubernetes-types.ts';

/** What decides which clients are told of an endpoint, and is told to none of them. Absent: nobody has said. */
export interface EndpointPlace {
  readonly zone?: string;
  readonly node?: string;
  /** The zones whose clients should go there. */
  readonly forZones?: readonly string[];
  /** The nodes whose clients should go there. */
  readonly forNodes?: readonly string[];
  /** It is being ended, but still answers: for clients that have no other. */
  readonly leaving?: true;
}

/** Where an endpoint of a slice is; undefined where nobody should be sent to it. */
export function placeOf(entry: SliceEndpoint): EndpointPlace | undefined {
  const { zone, nodeName, hints } = entry;
  const state = endpointState(entry);
  if (state === undefined) return undefined;
  const forZones = namesOf(hints?.forZones);
  const forNodes = namesOf(hints?.forNodes);
  return {
    ...(zone === undefined ? {} : { zone }),
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(forZones.length === 0 ? {} : { forZones }),
    ...(forNodes.length === 0 ? {} : { forNodes }),
    ...(state === 'ready' ? {} : { leaving: true }),
  };
}

/** True when both are for the same clients. */
export function samePlace(a: EndpointPlace, b: EndpointPlace): boolean {
  return isDeepStrictEqual(a, b);
}

function namesOf(hints: readonly { name: string }[] | null | undefined): string[] {
  return hints?.map(({ name }) => name) ?? [];
}
