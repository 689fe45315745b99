import { create } from '@bufbuild/protobuf';

import { type Update, UpdateSchema } from '../api/proto/gen/linkerd/destination_pb.js';
import { weightedAddr } from './endpoint.ts';
import type { EndpointSet, PlacedEndpoint } from './endpoint-set.ts';
import { tcpAddress } from './ip-address.ts';

type Endpoints = Extract<EndpointSet, { kind: 'endpoints' }>;

/**
 * Addresses in one message: some 300 bytes each, and 20 to 40 µs of a proxy that takes them. A message is taken whole,
 * and its requests wait for so long; gRPC clients take 4 MiB at most.
 */
const MAX_ADDRESSES = 200;

interface Step {
  readonly after: Endpoints;
  readonly updates: readonly Update[];
}

/**
 * The last step that was made from a set, for the clients of its place that make the same, in the same turn mostly.
 * Held weakly: a client that does not read keeps the set that it was told last, and with that would keep the one behind
 * it, the step from there, and so all since, messages included.
 */
const steps = new WeakMap<Endpoints, WeakRef<Step>>();

/**
 * All of a set, for streams that begin. Held weakly: it is a kilobyte for each endpoint, and needed again only where
 * many begin at once, as behind a start of the control plane.
 */
const beginnings = new WeakMap<Endpoints, WeakRef<readonly Update[]>>();

/**
 * The messages that lead a proxy from one set to another; from nothing (a new stream) to the full set. Additions go before removals, so that
 * a target whose endpoints are all exchanged is never without one. An empty set is always said, by NoEndpoints, which empties the proxy's.
 * The same messages for all that make the same step in a turn.
 */
export function endpointUpdates(before: Endpoints | undefined, after: Endpoints): readonly Update[] {
  if (before === undefined) return beginning(after);
  const known = steps.get(before)?.deref();
  if (known?.after === after) return known.updates;
  const step = { after, updates: updatesBetween(before, after) };
  steps.set(before, new WeakRef(step));
  return step.updates;
}

function beginning(set: Endpoints): readonly Update[] {
  const known = beginnings.get(set)?.deref();
  if (known !== undefined) return known;
  const updates = updatesBetween(undefined, set);
  beginnings.set(set, new WeakRef(updates));
  return updates;
}

function updatesBetween(before: Endpoints | undefined, after: Endpoints): Update[] {
  if (after.endpoints.size === 0) {
    const said = before !== undefined && before.endpoints.size === 0 && before.exists === after.exists;
    return said ? [] : [update({ case: 'noEndpoints', value: { exists: after.exists } })];
  }
  const sameLabels = JSON.stringify(before?.labels) === JSON.stringify(after.labels);
  const added: PlacedEndpoint[] = [];
  for (const [key, entry] of after.endpoints) {
    const unchanged = sameLabels && before?.endpoints.get(key)?.fingerprint === entry.fingerprint;
    if (!unchanged) added.push(entry);
  }
  const removed: PlacedEndpoint[] = [];
  for (const [key, entry] of before?.endpoints ?? []) {
    if (!after.endpoints.has(key)) removed.push(entry);
  }
  return [
    ...chunks(added).map((entries) =>
      update({
        case: 'add',
        value: {
          addrs: entries.map(({ endpoint }) => weightedAddr(endpoint)),
          metricLabels: { ...after.labels },
        },
      }),
    ),
    ...chunks(removed).map((entries) =>
      update({
        case: 'remove',
        value: { addrs: entries.map(({ endpoint }) => tcpAddress(endpoint.ip, endpoint.port)) },
      }),
    ),
  ];
}

type UpdateInit = NonNullable<Parameters<typeof create<typeof UpdateSchema>>[1]>['update'];

function update(value: NonNullable<UpdateInit>): Update {
  return create(UpdateSchema, { update: value });
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / MAX_ADDRESSES);
  return Array.from({ length: count }, (_, index) =>
    items.slice(index * MAX_ADDRESSES, (index + 1) * MAX_ADDRESSES),
  );
}
