import type { BalancedEndpoint } from '../balance/balanced-endpoint.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { LastingField } from '../message/lasting-field.ts';
import type { HttpCells } from '../telemetry/http-metrics.ts';
import type { Destination } from '../upstream/destination.ts';
import type { Attempt } from '../upstream/attempt.ts';
import type { Upstream } from '../upstream/upstream.ts';

/**
 * What a target keeps for each of its endpoints. Another one takes its place where the endpoint is told with other
 * labels: requests that are under way keep theirs.
 */
export interface Reach extends Destination {
  readonly upstream: Upstream;
  readonly endpoint: Endpoint;
  readonly cells: HttpCells;
  /** The fields that tell the peer's proxy where to go: made once. */
  readonly port: LastingField;
  readonly target: LastingField | undefined;
}

/** The endpoint as a balance sees it. @param destination one that a balance has chosen */
export function balancedOf(destination: Destination): BalancedEndpoint<Reach> {
  return destination as BalancedEndpoint<Reach>;
}

/** Where an attempt of a balance was sent to last; undefined: nowhere yet. */
export function wentTo(attempt: Attempt): Reach | undefined {
  return attempt.wentTo as Reach | undefined;
}

/** What the balance keeps beside the endpoint that was chosen. */
export function reachOf(destination: Destination): Reach {
  return balancedOf(destination).open();
}
