import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mirrorSlice, pod, service, slice } from './testing/fixture.ts';
import { type SliceEndpoints, webClients as setUp } from './testing/web-clients.ts';

/** Two pods in zones a and b, each meant for its own. */
const HINTED: SliceEndpoints = [
  { ip: '10.1.0.1', zone: 'a', forZones: ['a'] },
  { ip: '10.1.0.2', zone: 'b', forZones: ['b'] },
];

const without = ({ ip, zone = '' }: SliceEndpoints[number]) => ({ ip, zone });

test('each endpoint says whether it is in the zone of the client', () => {
  const { state, on } = setUp(HINTED.map(without));
  state.setZone('n1', 'a');
  assert.deepEqual(on('n1').told(), ['+10.1.0.1 local', '+10.1.0.2 remote']);
  assert.deepEqual(on('n2').told(), ['+10.1.0.1 unknown', '+10.1.0.2 unknown']);
});

test('an endpoint without a zone, and another cluster’s gateway, are nowhere', () => {
  const { state, on, client } = setUp([{ ip: '10.1.0.1' }]);
  state.setZone('n1', 'a');
  assert.deepEqual(on('n1').told(), ['+10.1.0.1 unknown']);
  const labels = { 'mirror.linkerd.io/mirrored-service': 'true', 'mirror.linkerd.io/cluster-name': 'west' };
  const written = mirrorSlice('far', 'web', ['10.9.0.1', '10.9.0.2']);
  const [first, second] = written.endpoints ?? [];
  assert.ok(first !== undefined && second !== undefined);
  // Another cluster's zone may have the name of one of ours.
  const hints = (name: string) => ({ zone: name, hints: { forZones: [{ name }] } });
  state.setService('shop/far', service('far', undefined, { labels }));
  state.setSlice('shop/far-1', {
    ...written,
    endpoints: [
      { ...first, ...hints('a') },
      { ...second, ...hints('b') },
    ],
  });
  const told = client({ ns: 'shop', nodeName: 'n1' }, 'far.shop.svc:80').told();
  assert.deepEqual(told, ['+10.9.0.1 unknown', '+10.9.0.2 unknown']);
});

test('the node of a client that does not say it is the one of its pod', () => {
  const { state, client, flush } = setUp(HINTED);
  state.setZone('n1', 'b');
  const { told } = client({ ns: 'shop', pod: 'c' });
  assert.deepEqual(told(), ['+10.1.0.1 unknown', '+10.1.0.2 unknown']);
  state.setPod('shop/c', pod('c', '10.1.0.9', { spec: { nodeName: 'n1' } }));
  flush();
  assert.deepEqual(told(), ['+10.1.0.2 local', '-10.1.0.1']);
});

test('a pod that is asked for by its address has the zone of its node', () => {
  const { state, client } = setUp([]);
  state.setZone('n1', 'a');
  state.setPod('shop/w', pod('w', '10.1.0.1', { spec: { nodeName: 'n1' } }));
  const told = client({ ns: 'shop', nodeName: 'n1' }, '10.1.0.1:8080').told();
  assert.deepEqual(told, ['+10.1.0.1 local']);
});

test('hints: a client is told the endpoints that are meant for its zone', () => {
  const { state, on } = setUp([...HINTED, { ip: '10.1.0.3', zone: 'b', forZones: ['a', 'c'] }]);
  state.setZone('n1', 'a');
  assert.deepEqual(on('n1').told(), ['+10.1.0.1 local', '+10.1.0.3 remote']);
});

const ALL = ['+10.1.0.1 remote', '+10.1.0.2 remote'];

for (const [what, endpoints, zone, expected] of [
  ['none is meant for its zone', HINTED, 'c', ALL],
  [
    'the zone of its node is not known',
    HINTED,
    undefined,
    ALL.map((one) => one.replace('remote', 'unknown')),
  ],
  [
    'one endpoint has no hint',
    [...HINTED.slice(0, 1), { ip: '10.1.0.2', zone: 'b' }],
    'a',
    ['+10.1.0.1 local', '+10.1.0.2 remote'],
  ],
] satisfies [string, SliceEndpoints, string | undefined, string[]][]) {
  test(`hints: a client is told all endpoints where ${what}`, () => {
    const { state, on } = setUp(endpoints);
    state.setZone('n1', zone);
    assert.deepEqual(on('n1').told(), expected);
  });
}

test('a node that changes its zone changes what its clients are told, and nobody else', () => {
  const { state, on, flush } = setUp(HINTED);
  state.setZone('n1', 'a');
  state.setZone('n2', 'a');
  const [moving, staying] = [on('n1'), on('n2')];
  assert.deepEqual(moving.told(), ['+10.1.0.1 local']);
  assert.deepEqual(staying.told(), ['+10.1.0.1 local']);
  state.setZone('n1', 'b');
  flush();
  assert.deepEqual(moving.told(), ['+10.1.0.2 local', '-10.1.0.1']);
  state.setZone('n1', undefined);
  flush();
  assert.deepEqual(moving.told(), ['+10.1.0.1 unknown', '+10.1.0.2 unknown']);
  assert.deepEqual(staying.told(), []);
});

test('the last endpoint of a zone goes: its clients are told those of the others', () => {
  const { state, on, flush } = setUp(HINTED);
  state.setZone('n1', 'a');
  const { told } = on('n1');
  told();
  state.setSlice('shop/web-1', slice('web', HINTED.slice(1)));
  flush();
  assert.deepEqual(told(), ['+10.1.0.2 remote', '-10.1.0.1']);
});

test('hints that change are told to those alone whose endpoints they change', () => {
  const { state, on, flush } = setUp(HINTED);
  for (const [node, zone] of [
    ['n1', 'a'],
    ['n2', 'b'],
    ['n3', 'c'],
  ] as const) {
    state.setZone(node, zone);
  }
  const [inA, inB, inC] = [on('n1'), on('n2'), on('n3')];
  for (const { told } of [inA, inB, inC]) told();
  state.setSlice(
    'shop/web-1',
    slice('web', [{ ip: '10.1.0.1', zone: 'a', forZones: ['a', 'b'] }, ...HINTED.slice(1)]),
  );
  flush();
  assert.deepEqual([inA.told(), inB.told(), inC.told()], [[], ['+10.1.0.1 remote'], []]);
});

test('clients of a zone are told by the same messages, which are made once', () => {
  const { state, on, flush } = setUp(HINTED.map(without));
  for (const node of ['n1', 'n2', 'n3']) state.setZone(node, node === 'n3' ? 'b' : 'a');
  const streams = ['n1', 'n2', 'n3'].map((node) => on(node).stream);
  const [begun, alsoBegun] = streams.map((stream) => stream.take());
  assert.ok(begun?.[0] !== undefined);
  assert.equal(alsoBegun?.[0], begun[0]);
  state.setSlice('shop/web-1', slice('web', [...HINTED.map(without), { ip: '10.1.0.3', zone: 'a' }]));
  flush();
  const [first, second, other] = streams.map((stream) => stream.take());
  assert.ok(first?.[0] !== undefined);
  assert.equal(second?.[0], first[0]);
  assert.deepEqual([other?.length, other?.[0] === first[0]], [1, false]);
});

test('what runs for a client ends with its stream', () => {
  const { views, on } = setUp(HINTED);
  const { stream } = on('n1');
  stream.close();
  assert.equal(views.size, 0);
});
