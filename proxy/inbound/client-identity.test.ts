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
  const linkerd = { ...peer(OWN), spiffeId: undefined, workload: undefined };
  assert.equal(clientName(linkerd, OWN), dnsIdentity(OWN));
});

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
