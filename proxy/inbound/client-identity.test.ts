import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dnsIdentity, spiffeId } from '../../api/names.ts';
import type { PeerIdentity } from '../../workload-identity/index.ts';
import { peerIdentity } from '../../workload-identity/testing/peer-identity.ts';
import { workload } from '../../workload-identity/testing/test-ca.ts';
import { believedClient, clientName, isGateway, isOwnGateway } from './client-identity.ts';

const OWN = workload('web', 'east');

const OWN_GATEWAY = peerIdentity(workload('isthmus-gateway', 'east', 'isthmus'));
const FOREIGN = spiffeId(workload('client', 'west'));

test('a client of the own cluster is shown by its DNS identity, one of another by its SPIFFE ID', () => {
  assert.equal(
    clientName(peerIdentity(workload('a', 'east', 'b')), OWN),
    dnsIdentity(workload('a', 'east', 'b')),
  );
  assert.equal(
    clientName(peerIdentity(workload('a', 'west', 'b')), OWN),
    spiffeId(workload('a', 'west', 'b')),
  );
  const dnsName = 'a.b.serviceaccount.identity.linkerd.cluster.local';
  assert.equal(clientName(linkerd(dnsName), OWN), dnsName);
});

function linkerd(dnsName: string): PeerIdentity {
  return { ...peerIdentity(OWN), dnsName, spiffeId: undefined, workload: undefined };
}

for (const dnsName of [
  dnsIdentity(OWN),
  dnsIdentity(workload('admin', 'east', 'bank')),
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
  ['a sidecar that asserts a client', FOREIGN, peerIdentity(workload('client', 'east'))],
  ["another cluster's gateway", FOREIGN, peerIdentity(workload('isthmus-gateway', 'west', 'isthmus'))],
  ['a gateway that asserts a workload of the own cluster', spiffeId(OWN), OWN_GATEWAY],
  [
    'a workload named like the gateway in another namespace',
    FOREIGN,
    peerIdentity(workload('isthmus-gateway', 'east')),
  ],
  [
    'a gateway of another trust domain',
    FOREIGN,
    peerIdentity({ ...workload('isthmus-gateway', 'east', 'isthmus'), trustDomain: 'evil.test' }),
  ],
  [
    'an id of another trust domain',
    spiffeId({ ...workload('a', 'west', 'b'), trustDomain: 'evil.test' }),
    OWN_GATEWAY,
  ],
  ['what is no SPIFFE ID of a workload', 'spiffe://cluster.local/cluster/west', OWN_GATEWAY],
  ['a DNS identity', dnsIdentity(workload('a', 'west', 'b')), OWN_GATEWAY],
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
  const foreign = peerIdentity(workload('isthmus-gateway', 'west', 'isthmus'));
  assert.deepEqual([isOwnGateway(foreign, OWN), isGateway(foreign, OWN)], [false, true]);
  assert.deepEqual([isOwnGateway(OWN_GATEWAY, OWN), isGateway(OWN_GATEWAY, OWN)], [true, true]);
  assert.equal(isGateway(peerIdentity(workload('web', 'east', 'isthmus')), OWN), false);
});
