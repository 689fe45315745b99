import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { ExportedServicesSchema } from '../api/proto/gen/isthmus/control_pb.js';
import { spiffeId } from '../api/names.ts';
import { causes, type MeshClient } from '../proxy/index.ts';
import type { WorkloadNames } from '../workload-identity/index.ts';
import { peerIdentity } from '../workload-identity/testing/peer-identity.ts';
import { workload } from '../workload-identity/testing/test-ca.ts';
import { admitClient, admitTarget, claimOf, readTarget } from './admission.ts';
import { exportTable } from './exports.ts';
import { cameBy, forwardedElement } from './forwarded.ts';

const OWN = workload('isthmus-gateway', 'west', 'isthmus');

function client(of: WorkloadNames): MeshClient {
  return { peer: peerIdentity(of), address: '127.0.0.1', port: 40_000 };
}

const FOREIGN = client(workload('client', 'east'));
const LINKERD: MeshClient = {
  ...FOREIGN,
  peer: { ...FOREIGN.peer, spiffeId: undefined, workload: undefined },
};

const TABLE = exportTable(
  create(ExportedServicesSchema, {
    services: [
      { namespace: 'shop', name: 'web', ports: [80, 8080] },
      { namespace: 'shop', name: 'web-north', ports: [80], mirror: true },
    ],
  }),
  'cluster.local',
);

const CASES: [string, MeshClient, string | undefined, unknown][] = [
  ['an exported service', FOREIGN, 'web.shop.svc.cluster.local:80', undefined],
  ['another exported port', FOREIGN, 'web.shop.svc.cluster.local:8080', undefined],
  ['a port that is not exported', FOREIGN, 'web.shop.svc.cluster.local:81', causes.notExported],
  ['a service that is not exported', FOREIGN, 'db.shop.svc.cluster.local:80', causes.notExported],
  ['the same name in another namespace', FOREIGN, 'web.bank.svc.cluster.local:80', causes.notExported],
  ['a short form of an exported name', FOREIGN, 'web.shop:80', causes.notExported],
  ['an address', FOREIGN, '127.0.0.1:80', causes.notExported],
  ['a mirror of a third cluster', FOREIGN, 'web-north.shop.svc.cluster.local:80', causes.gatewayLoop],
  ['no target', FOREIGN, undefined, causes.noSuchTarget],
  [
    'a gateway of another cluster',
    client(workload('isthmus-gateway', 'east', 'isthmus')),
    'web.shop.svc.cluster.local:80',
    causes.gatewayLoop,
  ],
  ['itself', client(OWN), 'web.shop.svc.cluster.local:80', causes.gatewayLoop],
  [
    'a workload of the own cluster',
    client(workload('client', 'west')),
    'web.shop.svc.cluster.local:80',
    causes.unauthorized,
  ],
  [
    'a workload of another trust domain',
    client({ ...workload('client', 'east'), trustDomain: 'evil.test' }),
    'web.shop.svc.cluster.local:80',
    causes.unauthorized,
  ],
  ['a client without a SPIFFE ID', LINKERD, 'web.shop.svc.cluster.local:80', causes.unauthorized],
];

for (const [what, from, target, expected] of CASES) {
  test(`admission: ${what}`, () => {
    assert.equal(admitClient(from, OWN) ?? admitTarget(target, TABLE), expected);
  });
}

test('what a client may take of the last places', () => {
  const prober = workload('isthmus-mirror-controller', 'east', 'isthmus');
  const cases = [
    [client(prober), 'any'],
    [client({ ...prober, clusterId: 'west' }), 'any'],
    [client({ ...prober, namespace: 'shop' }), 'gives-way'],
    [client({ ...prober, trustDomain: 'evil.test' }), 'none'],
    [FOREIGN, 'gives-way'],
    [client(workload('client', 'west')), 'none'],
    [client(workload('isthmus-gateway', 'east', 'isthmus')), 'none'],
    [LINKERD, 'none'],
  ] as const;
  for (const [from, expected] of cases) assert.equal(claimOf(from, OWN), expected);
});

test('targets are read strictly', () => {
  assert.equal(readTarget('Web.Shop.svc.cluster.local:80'), 'web.shop.svc.cluster.local:80');
  for (const bad of [
    undefined,
    '',
    'web',
    'web.shop.svc.cluster.local',
    'web:80/x',
    'web.shop:4143',
    'web.shop:4191',
  ]) {
    assert.equal(readTarget(bad), undefined, String(bad));
  }
});

test('a loop shows in any element of any spelling, and quoting hides none', () => {
  const gateway = spiffeId(OWN);
  assert.equal(cameBy(`for=x, By="${gateway}";for=y`, gateway), true);
  assert.equal(cameBy(`by=${gateway}`, gateway), true);
  assert.equal(cameBy(`for="a,by=${gateway};"`, gateway), false);
  assert.equal(cameBy(`for="a\\", by=\\"${gateway}"`, gateway), false);
  assert.equal(cameBy(`by="${gateway}2"`, gateway), false);
  assert.equal(cameBy('', gateway), false);
});

test('what the gateway writes, it finds again', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (by, host) => {
      const element = forwardedElement(by, 'spiffe://client', host);
      assert.equal(cameBy(`for=before,${element}`, by), true);
      assert.equal(cameBy(element, `${by}x`), false);
    }),
  );
});
