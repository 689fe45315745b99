import type { FilterAnswer } from '../route/filters.ts';
import type { Upstream } from './upstream.ts';

/** Where a request can be sent. */
export interface Destination {
  readonly upstream: Upstream;
}

/** What was chosen for a request: where it goes, or what it is answered with in place of going anywhere. Undefined: there is nowhere to go now. */
export type Choice = Destination | FilterAnswer | undefined;

/** Whether the request goes somewhere. */
export function isDestination(choice: Choice): choice is Destination {
  return choice !== undefined && 'upstream' in choice;
}
