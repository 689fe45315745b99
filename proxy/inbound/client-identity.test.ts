import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dnsIdentity, spiffeId } from '../../api/names.ts';
import type { PeerIdentity, WorkloadNames } from '../../workload-identity/index.ts';
import { believedClient, clientName, isGateway, isOwnGateway } from './client-identity.ts';

const OWN = names('web', 'shop', 'east');

function names(serviceAccount: string, namespace: string, clusterId: string, trustDomain = 'cluster.local') {
  return {
    serviceAccount,
    namespace,
    clusterId,
    trustDomain,
    meshNamespace: 'isthmus',
  } satisfies WorkloadNames;
}

function peer(of: WorkloadNames): PeerIdentity {
  return {
    dnsName: dnsIdentity(of),
    spiffeId: spiffeId(of),
    workload: of,
    fingerprint: '00',
    notAfter: 0,
  };
}

const OWN_GATEWAY = peer(names('isthmus-gateway', 'isthmus', 'east'));
const FOREIGN = spiffeId(names('client', 'shop', 'west'));

test('a client of the own cluster is shown by its DNS identity, one of another by its SPIFFE ID', () => {
  assert.equal(clientName(peer(names('a', 'b', 'east')), OWN), dnsIdentity(names('a', 'b', 'east')));
  assert.equal(clientName(peer(names('a', 'b', 'west')), OWN), spiffeId(names('a', 'b', 'west')));
  const dnsName = 'a.b.serviceaccount.identity.linkerd.cluster.local';
  assert.equal(clientName(linkerd(dnsName), OWN), dnsName);
});

function linkerd(dnsName: string): PeerIdentity {
  return { ...peer(OWN), dnsName, spiffeId: undefined, workload: undefined };
}

for (const dnsName of [
  dnsIdentity(OWN),
  dnsIdentity(names('admin', 'bank', 'east')),
  'a.b\r\nl5d-client-id: evil',
  'a b',
  'a\0b',
  'x'.repeat(254),
]) {
  test(`a leaf without a SPIFFE ID is nobody's as ${JSON.stringify(dnsName.slice(0, 60))}`, () => {
    assert.equal(clientName(linkerd(dnsName), OWN), '');
  });
}

test("the own cluster's gateway is believed about a workload of another cluster", () => {
  assert.equal(believedClient(FOREIGN, OWN_GATEWAY, OWN), FOREIGN);
});

const CHEATS: [string, string | undefined, PeerIdentity][] = [
  ['a sidecar that asserts a client', FOREIGN, peer(names('client', 'shop', 'east'))],
  ["another cluster's gateway", FOREIGN, peer(names('isthmus-gateway', 'isthmus', 'west'))],
  ['a gateway that asserts a workload of the own cluster', spiffeId(OWN), OWN_GATEWAY],
  [
    'a workload named like the gateway in another namespace',
    FOREIGN,
    peer(names('isthmus-gateway', 'shop', 'east')),
  ],
  [
    'a gateway of another trust domain',
    FOREIGN,
    peer(names('isthmus-gateway', 'isthmus', 'east', 'evil.test')),
  ],
  ['an id of another trust domain', spiffeId(names('a', 'b', 'west', 'evil.test')), OWN_GATEWAY],
  ['what is no SPIFFE ID of a workload', 'spiffe://cluster.local/cluster/west', OWN_GATEWAY],
  ['a DNS identity', dnsIdentity(names('a', 'b', 'west')), OWN_GATEWAY],
  ['an id with a line break', `${FOREIGN}\r\nx: y`, OWN_GATEWAY],
  ['an id with a space', `${FOREIGN} x`, OWN_GATEWAY],
  ['two ids', `${FOREIGN}, ${FOREIGN}`, OWN_GATEWAY],
  ['an id with an encoded slash', `${FOREIGN}%2Fx`, OWN_GATEWAY],
  ['an id with dot segments', 'spiffe://cluster.local/cluster/west/ns/a/sa/../../x', OWN_GATEWAY],
  ['an id with more segments', `${FOREIGN}/x`, OWN_GATEWAY],
  ['nothing', undefined, OWN_GATEWAY],
  [
    "a Linkerd proxy with the gateway's DNS identity",
    FOREIGN,
    { ...OWN_GATEWAY, spiffeId: undefined, workload: undefined },
  ],
];

for (const [what, asserted, from] of CHEATS) {
  test(`not believed: ${what}`, () => {
    assert.equal(believedClient(asserted, from, OWN), undefined);
  });
}

test('gateways are known by cluster', () => {
  const foreign = peer(names('isthmus-gateway', 'isthmus', 'west'));
  assert.deepEqual([isOwnGateway(foreign, OWN), isGateway(foreign, OWN)], [false, true]);
  assert.deepEqual([isOwnGateway(OWN_GATEWAY, OWN), isGateway(OWN_GATEWAY, OWN)], [true, true]);
  assert.equal(isGateway(peer(names('web', 'isthmus', 'east')), OWN), false);
});
