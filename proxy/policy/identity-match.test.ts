import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { dnsIdentity, spiffeId } from '../../api/names.ts';
import { compileIdentities, type ProvenNames } from './identity-match.ts';

const MESH = { meshNamespace: 'isthmus', trustDomain: 'cluster.local' };

/** A workload as the proxy of cluster east knows it. */
function workload(clusterId: string, namespace: string, serviceAccount: string): ProvenNames {
  const id = spiffeId({ trustDomain: MESH.trustDomain, clusterId, namespace, serviceAccount });
  return {
    identity: clusterId === 'east' ? dnsIdentity({ namespace, serviceAccount, ...MESH }) : id,
    spiffeId: id,
  };
}

function compiled(names: string[], suffixes: string[] = []): (names: ProvenNames) => boolean {
  return compileIdentities({
    identities: names.map((name) => ({ name })) as never,
    suffixes: suffixes.map((suffix) => ({ parts: suffix === '' ? [] : suffix.split('.') })) as never,
  });
}

const local = workload('east', 'shop', 'web');
const remote = workload('west', 'shop', 'web');

const cases: [names: string[], suffixes: string[], local: boolean, remote: boolean][] = [
  [[local.identity], [], true, false],
  [[local.spiffeId], [], true, false],
  [[remote.spiffeId], [], false, true],
  [['spiffe://cluster.local/cluster/west/*'], [], false, true],
  [['spiffe://cluster.local/cluster/*/ns/shop/sa/web'], [], true, true],
  [['spiffe://cluster.local/cluster/*/ns/*/sa/db'], [], false, false],
  [['spiffe://cluster.local/*'], [], true, true],
  [['spiffe://cluster.local/cluster/we*'], [], false, false],
  [[], ['shop.serviceaccount.identity.isthmus.cluster.local'], true, false],
  [[], ['web.shop.serviceaccount.identity.isthmus.cluster.local'], false, false],
  [[], ['local'], true, false],
  [[], [''], true, true],
  [['*'], [], false, false],
  [[], [], false, false],
];

for (const [names, suffixes, wantsLocal, wantsRemote] of cases) {
  test(`${JSON.stringify({ names, suffixes })} is the local workload: ${wantsLocal}, the one of another cluster: ${wantsRemote}`, () => {
    const matches = compiled(names, suffixes);
    assert.equal(matches(local), wantsLocal);
    assert.equal(matches(remote), wantsRemote);
  });
}

test('nothing that names workloads without a cluster lets in one of another cluster', () => {
  const part = fc.stringMatching(/^[a-z]{1,4}$/);
  fc.assert(
    fc.property(part, part, fc.boolean(), (namespace, account, bySuffix) => {
      const here = workload('east', namespace, account);
      const matches = bySuffix
        ? compiled([], [here.identity.slice(account.length + 1)])
        : compiled([here.identity]);
      assert.equal(matches(here), true);
      assert.equal(matches(workload('west', namespace, account)), false);
    }),
  );
});

test('a workload is let in by its own SPIFFE ID with any of its parts left open, and by no other of the same shape', () => {
  const part = fc.stringMatching(/^[a-z]{1,4}$/);
  const workloads = fc.tuple(part, part, part);
  fc.assert(
    fc.property(
      workloads,
      workloads,
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      (mine, other, open) => {
        const [cluster, namespace, account] = mine.map((name, i) => (open[i] === true ? '*' : name));
        const matches = compiled([`spiffe://cluster.local/cluster/${cluster}/ns/${namespace}/sa/${account}`]);
        assert.equal(matches(workload(...mine)), true);
        const same = mine.every((name, i) => open[i] === true || other[i] === name);
        assert.equal(matches(workload(...other)), same);
      },
    ),
  );
});
