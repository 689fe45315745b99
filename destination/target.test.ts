import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { GrpcError, grpcStatus } from '../workload-identity/index.ts';
import { parseTarget } from './target.ts';

const DOMAIN = 'cluster.local';

function service(name: string, namespace: string, port: number, more: object = {}) {
  return { kind: 'service', name, namespace, port, certain: true, ...more };
}

const names: [path: string, expected: object][] = [
  ['web:80', service('web', 'shop', 80)],
  ['web', service('web', 'shop', 80)],
  ['WEB.Shop.SVC.Cluster.Local.:8080', service('web', 'shop', 8080)],
  ['web.other:80', service('web', 'other', 80, { certain: false })],
  ['web.other.svc:80', service('web', 'other', 80)],
  ['web.other.svc.cluster.local:1', service('web', 'other', 1)],
  ['db-0.db.other.svc.cluster.local:5432', service('db', 'other', 5432, { hostname: 'db-0' })],
  ['10.0.0.1:65535', { kind: 'address', ip: '10.0.0.1', port: 65_535 }],
  ['[2001:DB8::1]:443', { kind: 'address', ip: '2001:db8:0:0:0:0:0:1', port: 443 }],
  ['::ffff:10.0.0.1', { kind: 'address', ip: '0:0:0:0:0:ffff:a00:1', port: 80 }],
];

for (const [path, expected] of names) {
  test(`${path} is understood`, () => {
    assert.deepEqual(parseTarget(path, DOMAIN, 'shop'), expected);
  });
}

const refused = [
  'www.example.com:80',
  'web.shop.svc.other.domain:80',
  'a.b.c.d.svc.cluster.local:80',
  'svc.cluster.local:80',
  'localhost:80',
  'web:0',
  'web:65536',
  'web:http',
  'web:80:80',
  '-web:80',
  `${'a'.repeat(64)}:80`,
  '..:80',
  '',
  ':80',
];

for (const path of refused) {
  test(`"${path}" is an invalid argument`, () => {
    assert.throws(
      () => parseTarget(path, DOMAIN, 'shop'),
      (error) => error instanceof GrpcError && error.code === grpcStatus.invalidArgument,
    );
  });
}

test('a short name without the caller’s namespace is refused, a longer one is not', () => {
  assert.throws(() => parseTarget('web:80', DOMAIN, undefined), /context token/);
  assert.deepEqual(parseTarget('web.shop.svc:80', DOMAIN, undefined), service('web', 'shop', 80));
});

test('no text makes anything but a target or an invalid argument', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom('.', ':', '[', ']', 'svc', 'cluster.local', 'web', '80', '::1'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      try {
        const target = parseTarget(pieces.join(''), DOMAIN, 'shop');
        assert.ok(target.port >= 1 && target.port <= 65_535);
      } catch (error) {
        assert.ok(error instanceof GrpcError && error.code === grpcStatus.invalidArgument);
      }
    }),
  );
});
