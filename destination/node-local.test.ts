import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mirrorSlice, pod, service, slice } from './testing/fixture.ts';
import { type SliceEndpoints, webClients } from './testing/web-clients.ts';

/** A pod on each of two nodes. */
const TWO: SliceEndpoints = [
  { ip: '10.1.0.1', node: 'n1' },
  { ip: '10.1.0.2', node: 'n2' },
];
const [FIRST, SECOND] = ['+10.1.0.1 unknown', '+10.1.0.2 unknown'];
const LOCAL = { spec: { internalTrafficPolicy: 'Local' } };

test('internalTrafficPolicy: Local: a client is told the endpoints of its own node', () => {
  const { on } = webClients(TWO, LOCAL);
  assert.deepEqual(on('n1').told(), [FIRST]);
  assert.deepEqual(on('n2').told(), [SECOND]);
});

test('Local: a client whose node has no endpoint is told none, and those that come', () => {
  const { state, on, flush } = webClients(TWO, LOCAL);
  const { told } = on('n3');
  assert.deepEqual(told(), ['noEndpoints']);
  state.setSlice('shop/web-2', slice('web', [{ ip: '10.1.0.3', node: 'n3' }], { name: 'web-2' }));
  flush();
  assert.deepEqual(told(), ['+10.1.0.3 unknown']);
  state.setSlice('shop/web-2', undefined);
  flush();
  assert.deepEqual(told(), ['noEndpoints']);
});

test('Local: another node’s endpoints come and go unheard', () => {
  const { state, on, flush } = webClients(TWO, LOCAL);
  const { told } = on('n1');
  told();
  state.setSlice('shop/web-1', slice('web', TWO.slice(0, 1)));
  flush();
  assert.deepEqual(told(), []);
});

test('Local: an endpoint that comes back on another node moves to the clients there', () => {
  const { state, on, flush } = webClients(TWO, LOCAL);
  const [there, here] = [on('n1'), on('n2')];
  for (const { told } of [there, here]) told();
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', node: 'n2' }]));
  flush();
  assert.deepEqual(there.told(), ['noEndpoints']);
  assert.deepEqual(here.told(), [FIRST, '-10.1.0.2']);
});

test('a Service that becomes Local takes the others away, and gives them back', () => {
  const { state, on, flush } = webClients(TWO);
  const { told } = on('n1');
  assert.deepEqual(told(), [FIRST, SECOND]);
  state.setService('shop/web', service('web', undefined, LOCAL));
  flush();
  assert.deepEqual(told(), ['-10.1.0.2']);
  state.setService('shop/web', service('web'));
  flush();
  assert.deepEqual(told(), [SECOND]);
});

test('Local goes before the hints for zones', () => {
  const { state, on } = webClients(
    TWO.map((endpoint) => ({ ...endpoint, zone: 'b', forZones: ['b'] })),
    LOCAL,
  );
  state.setZone('n1', 'a');
  assert.deepEqual(on('n1').told(), ['+10.1.0.1 remote']);
});

test('Local: hints of zones do not choose between the endpoints of the own node', () => {
  const { state, on } = webClients(
    [
      { ip: '10.1.0.1', node: 'n1', zone: 'a', forZones: ['a'] },
      { ip: '10.1.0.2', node: 'n1', zone: 'a', forZones: ['b'] },
    ],
    LOCAL,
  );
  state.setZone('n1', 'a');
  assert.deepEqual(on('n1').told(), ['+10.1.0.1 local', '+10.1.0.2 local']);
});

test('Local holds for the ClusterIP, too, and not for a pod that is asked for by its address', () => {
  const { state, on } = webClients(TWO, LOCAL);
  state.setPod('shop/w', pod('w', '10.1.0.2', { spec: { nodeName: 'n2' } }));
  assert.deepEqual(on('n1', '10.0.0.10:80').told(), [FIRST]);
  assert.deepEqual(on('n1', '10.1.0.2:8080').told(), [SECOND]);
});

test('Local: a client that does not say its node is on its pod’s; one whose node is not known is told all', () => {
  const { state, client, flush } = webClients(TWO, LOCAL);
  const { told } = client({ ns: 'shop', pod: 'c' });
  assert.deepEqual(told(), [FIRST, SECOND]);
  state.setPod('shop/c', pod('c', '10.1.0.9', { spec: { nodeName: 'n2' } }));
  flush();
  assert.deepEqual(told(), ['-10.1.0.1']);
});

test('Local: a gateway asks for clients of other clusters, who are on no node', () => {
  assert.deepEqual(webClients(TWO, LOCAL).gatewayOn('n1').told(), [FIRST, SECOND]);
});

test('Local means nothing to a headless Service, whose pods are chosen by who asks', () => {
  const { on } = webClients(
    TWO.map((endpoint, i) => ({ ...endpoint, hostname: `web-${i}` })),
    { spec: { ...LOCAL.spec, clusterIP: 'None' } },
  );
  assert.deepEqual(on('n1').told(), [FIRST, SECOND]);
  assert.deepEqual(on('n1', 'web-1.web.shop.svc:80').told(), [SECOND]);
});

test('Local means nothing to a mirror: gateways of another cluster are on nobody’s node', () => {
  const { state, on } = webClients(TWO, LOCAL);
  const labels = { 'mirror.linkerd.io/mirrored-service': 'true', 'mirror.linkerd.io/cluster-name': 'west' };
  state.setService('shop/web-west', service('web-west', undefined, { ...LOCAL, labels }));
  state.setSlice('shop/web-west-1', mirrorSlice('web-west', 'web', ['10.9.0.1']));
  assert.deepEqual(on('n1', 'web-west.shop.svc:80').told(), ['+10.9.0.1 unknown']);
});

const PREFERRED = TWO.map((endpoint) => ({ ...endpoint, forNodes: [endpoint.node ?? ''], forZones: ['a'] }));

test('hints for nodes (trafficDistribution: PreferSameNode): the own node’s, else the zone’s', () => {
  const { state, on, client } = webClients([
    ...PREFERRED,
    { ip: '10.1.0.3', forNodes: ['n4'], forZones: ['b'] },
  ]);
  for (const node of ['n1', 'n3']) state.setZone(node, 'a');
  assert.deepEqual(on('n1').told(), [FIRST]);
  assert.deepEqual(on('n3').told(), [FIRST, SECOND]);
  assert.equal(client({}).told().length, 3);
});

test('hints for nodes do not count where one endpoint has none', () => {
  const { on } = webClients([...PREFERRED, { ip: '10.1.0.3' }]);
  assert.equal(on('n1').told().length, 3);
});

test('endpoints that are being ended and still answer are for clients that have no other', () => {
  const { state, on, flush } = webClients([{ ip: '10.1.0.1', leaving: true }, { ip: '10.1.0.2' }]);
  const { told } = on('n1');
  assert.deepEqual(told(), [SECOND]);
  state.setSlice(
    'shop/web-1',
    slice('web', [
      { ip: '10.1.0.1', leaving: true },
      { ip: '10.1.0.2', ready: false },
    ]),
  );
  flush();
  assert.deepEqual(told(), [FIRST, '-10.1.0.2']);
  state.setSlice('shop/web-1', slice('web', [{ ip: '10.1.0.1', ready: false }]));
  flush();
  assert.deepEqual(told(), ['noEndpoints']);
});

test('Local: the own node’s endpoint that is being ended goes before a ready one elsewhere', () => {
  const { on } = webClients(
    TWO.map((endpoint) => (endpoint.node === 'n1' ? { ...endpoint, leaving: true } : endpoint)),
    LOCAL,
  );
  assert.deepEqual(on('n1').told(), [FIRST]);
});

test('an address that two slices name at once is ready where one of them says so', () => {
  const { state, on, flush } = webClients([{ ip: '10.1.0.1', leaving: true }]);
  state.setSlice('shop/web-2', slice('web', [{ ip: '10.1.0.1' }, { ip: '10.1.0.2' }], { name: 'web-2' }));
  flush();
  assert.deepEqual(on('n1').told(), [FIRST, SECOND]);
});
