import type { BalancedEndpoint } from '../balance/balanced-endpoint.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import type { LastingField } from '../message/lasting-field.ts';
import type { HttpCells } from '../telemetry/http-metrics.ts';
import type { Destination } from '../upstream/destination.ts';
import type { Upstream } from '../upstream/upstream.ts';

/** What a target keeps for each of its endpoints. */
export interface Reach extends Destination {
  readonly upstream: Upstream;
  /** As it was told last: its labels may become others. */
  endpoint: Endpoint;
  cells: HttpCells;
  /** The fields that tell the peer's proxy where to go: made once. */
  readonly port: LastingField;
  readonly target: LastingField | undefined;
}

/** The endpoint as a balance sees it. @param destination one that a balance has chosen */
export function balancedOf(destination: Destination): BalancedEndpoint<Reach> {
  return destination as BalancedEndpoint<Reach>;
}

/** What the balance keeps beside the endpoint that was chosen. */
export function reachOf(destination: Destination): Reach {
  return balancedOf(destination).resource;
}
