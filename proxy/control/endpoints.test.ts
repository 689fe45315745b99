import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WeightedAddrSchema } from '../../api/proto/gen/linkerd/destination_pb.js';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { methods } from '../../api/proto/methods.ts';
import { EndpointSet } from './endpoints.ts';

type Addr = Exclude<MessageInitShape<typeof WeightedAddrSchema>, { $typeName: string }>;

const addr = (port: number, more: Addr = {}): Addr => ({
  addr: { ip: { ip: { case: 'ipv4', value: 0x0a00_0001 } }, port },
  ...more,
});

const added = (...addrs: Addr[]) =>
  methods.getEndpoints.answer({ update: { case: 'add', value: { addrs } } });

const UNUSABLE: [what: string, addr: Addr][] = [
  ['no address', {}],
  ['an address without an IP', { addr: { port: 80 } }],
  ['port 0', addr(0)],
  ['a port that is none', addr(70_000)],
  ["a proxy's port that is none", addr(80, { protocolHint: { opaqueTransport: { inboundPort: 70_000 } } })],
  ['a name without a port', addr(80, { authorityOverride: { authorityOverride: 'web.shop' } })],
];

test('what cannot be used is left out, and what can be is not', () => {
  for (const [what, unusable] of UNUSABLE) {
    const set = new EndpointSet();
    set.apply(added(unusable, addr(80)), true);
    assert.deepEqual(
      set.endpoints.map(({ address, port }) => `${address}:${port}`),
      ['10.0.0.1:80'],
      what,
    );
  }
});

test('where nothing can be used, what was known stays', () => {
  for (const [what, unusable] of UNUSABLE) {
    const set = new EndpointSet();
    set.apply(added(addr(80)), true);
    assert.throws(() => set.apply(added(unusable), true), /of 1 endpoints none has an address/, what);
    assert.equal(set.endpoints.length, 1, what);
  }
});

test('weights are finite and above 0', () => {
  const set = new EndpointSet();
  set.apply(added(addr(1, { weight: 0 }), addr(2, { weight: 1 }), addr(3, { weight: 2 ** 32 - 1 })), true);
  for (const { weight } of set.endpoints) assert.ok(weight > 0 && Number.isFinite(weight), String(weight));
});
