import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes } from '../errors.ts';
import { readAuthority } from './authority.ts';

const CASES: [string, number | undefined, unknown][] = [
  ['web', 80, 'web:80'],
  ['Web.Shop.SVC:8080', 80, 'web.shop.svc:8080'],
  ['web.shop.svc.cluster.local.:80', 80, 'web.shop.svc.cluster.local:80'],
  ['10.0.0.1:8080', undefined, '10.0.0.1:8080'],
  ['[fd00::1]:80', undefined, '[fd00::1]:80'],
  ['web', undefined, causes.badRequest],
  ['', 80, causes.badRequest],
  ['.', 80, causes.badRequest],
  [':80', 80, causes.badRequest],
  ['web:0', 80, causes.badRequest],
  ['web:70000', 80, causes.badRequest],
  ['user@web:80', 80, causes.badRequest],
  ['web:80/path', 80, causes.badRequest],
  ['we b', 80, causes.badRequest],
  ['a'.repeat(300), 80, causes.badRequest],
  ['web:4140', 80, causes.ownPort],
  ['web:4143', 80, causes.ownPort],
  ['web:4190', 80, causes.ownPort],
  ['10.0.0.1:4191', undefined, causes.ownPort],
];

for (const [text, defaultPort, expected] of CASES) {
  test(`authority ${JSON.stringify(text.slice(0, 40))} with default port ${defaultPort}`, () => {
    assert.equal(readAuthority(text, defaultPort), expected);
  });
}
