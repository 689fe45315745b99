import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, toJsonString } from '@bufbuild/protobuf';
import fc from 'fast-check';

import {
  GetDestinationSchema,
  type Update,
  type WeightedAddr,
  WeightedAddrSchema,
} from '../api/proto/gen/linkerd/destination_pb.js';
import type { ServicePort } from '../api/kubernetes-types.ts';
import type { TcpAddress } from '../api/proto/gen/linkerd/net_pb.js';
import { annotation } from '../api/names.ts';
import { createDestinationService } from './destination-service.ts';
import { ipText } from './ip-address.ts';
import { namespace, pod, service, settings, slice, testDeps, TestStream } from './testing/fixture.ts';

/** A proxy's picture of a target, made from updates as Linkerd's proxy makes it. */
class Picture {
  readonly addresses = new Map<string, string>();

  apply(updates: readonly Update[]): void {
    for (const { update } of updates) {
      if (update.case === 'noEndpoints') this.addresses.clear();
      if (update.case === 'remove') {
        for (const addr of update.value.addrs) {
          assert.ok(this.addresses.delete(key(addr)), 'what is removed was there');
        }
      }
      if (update.case === 'add') for (const addr of update.value.addrs) this.#add(addr);
    }
  }

  #add(addr: WeightedAddr): void {
    this.addresses.set(key(addr.addr), toJsonString(WeightedAddrSchema, addr));
  }

  sorted(): [string, string][] {
    return [...this.addresses].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

function key(addr: TcpAddress | undefined): string {
  return `${ipText(addr?.ip)}:${addr?.port}`;
}

/** From a node whose zone changes, too. */
const ASKED = { path: 'web.shop.svc:80', contextToken: '{"ns":"shop","nodeName":"n1"}' };

type Change = (state: ReturnType<typeof testDeps>['views']['state']) => void;

const index = fc.integer({ min: 1, max: 5 });

/** Undefined: it is deleted. */
const web = fc.option(
  fc.record({
    ports: fc.constantFrom<ServicePort[][]>(
      [{ name: 'http', port: 80 }],
      [{ name: 'web', port: 80 }],
      [{ name: 'http', port: 80, appProtocol: 'linkerd.io/opaque' }],
      [{ name: 'http', port: 81 }],
    ),
    spec: fc.record({
      internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
      ipFamilies: fc.constantFrom<string[][]>(['IPv4'], ['IPv6', 'IPv4']),
    }),
  }),
  { nil: undefined },
);

const zone = fc.constantFrom('a', 'b');

const place = fc.record(
  {
    leaving: fc.boolean(),
    node: fc.constantFrom('n1', 'n2'),
    zone,
    forZones: fc.uniqueArray(zone),
    forNodes: fc.constant(['n1']),
  },
  { requiredKeys: [] },
);

const change: fc.Arbitrary<Change> = fc.oneof(
  web.map(
    (made): Change =>
      (state) =>
        state.setService('shop/web', made && service('web', made.ports, { spec: made.spec })),
  ),
  fc.option(zone, { nil: undefined }).map(
    (name): Change =>
      (state) =>
        state.setZone('n1', name),
  ),
  fc
    .tuple(
      fc.constantFrom('a', 'b'),
      fc.uniqueArray(fc.tuple(index, place), { selector: ([n]) => n }),
      fc.record({
        portName: fc.constantFrom('http', 'http', 'web'),
        addressType: fc.constantFrom('IPv4', 'IPv4', 'IPv6'),
      }),
    )
    .map(([name, ends, more]): Change => (state) => {
      const net = more.addressType === 'IPv4' ? '10.1.0.' : 'fd00::';
      const endpoints = ends.map(([n, where]) => ({ ip: `${net}${n}`, pod: `p${n}`, ...where }));
      state.setSlice(`shop/${name}`, slice('web', endpoints, { name, ...more }));
    }),
  fc.constantFrom('a', 'b').map(
    (name): Change =>
      (state) =>
        state.setSlice(`shop/${name}`, undefined),
  ),
  fc.tuple(index, fc.boolean()).map(
    ([n, meshed]): Change =>
      (state) =>
        state.setPod(`shop/p${n}`, pod(`p${n}`, `10.1.0.${n}`, { meshed })),
  ),
  index.map(
    (n): Change =>
      (state) =>
        state.setPod(`shop/p${n}`, undefined),
  ),
  fc.constantFrom('', '8080', '80').map(
    (ports): Change =>
      (state) =>
        state.setNamespace('shop', namespace('shop', { [annotation.opaquePorts]: ports })),
  ),
);

test('whatever changes and whenever the client reads, the sum of the differences is the full state', () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: change.map((apply) => ({ kind: 'change' as const, apply })) },
      { weight: 1, arbitrary: fc.constant({ kind: 'flush' as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'block' as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'drain' as const }) },
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(steps, (script) => {
      const deps = testDeps();
      deps.views.state.setService('shop/web', service('web'));
      const destination = createDestinationService(deps, settings);
      const request = create(GetDestinationSchema, ASKED);
      const open = (): TestStream<Update> => {
        const stream = new TestStream<Update>();
        destination.get(request, stream);
        return stream;
      };
      const subscriber = open();
      const picture = new Picture();
      for (const step of script) {
        if (step.kind === 'change') step.apply(deps.views.state);
        if (step.kind === 'flush') deps.flush();
        if (step.kind === 'block') subscriber.reading = false;
        if (step.kind === 'drain') subscriber.drain();
        picture.apply(subscriber.take());
      }
      deps.flush();
      subscriber.drain();
      picture.apply(subscriber.take());
      // Closed first, so that the new stream has a computation of its own.
      subscriber.close();
      const fresh = new Picture();
      fresh.apply(open().take());
      assert.deepEqual(picture.sorted(), fresh.sorted());
    }),
    { numRuns: 300 },
  );
});

test('the picture that a computation keeps is the one that a new computation has', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const deps = testDeps();
      deps.views.state.setService('shop/web', service('web'));
      const destination = createDestinationService(deps, settings);
      const request = create(GetDestinationSchema, ASKED);
      const kept = new TestStream<Update>();
      destination.get(request, kept);
      const picture = new Picture();
      for (const apply of changes) {
        apply(deps.views.state);
        deps.flush();
        picture.apply(kept.take());
      }
      kept.close();
      const late = new TestStream<Update>();
      destination.get(request, late);
      const fresh = new Picture();
      fresh.apply(late.take());
      assert.deepEqual(picture.sorted(), fresh.sorted());
    }),
    { numRuns: 300 },
  );
});
