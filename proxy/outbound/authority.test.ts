import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { causes } from '../errors.ts';
import { readAuthority, readAuthorityOf } from './authority.ts';

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

test('what was read before is read the same again, among others that share its place', () => {
  const label = fc.constantFrom('web', 'WEB', 'web-1', 'web-2', 'api', 'a', 'we b', '');
  const text = fc
    .tuple(label, fc.constantFrom('', ':80', ':8080', ':4143'), fc.nat(2_000))
    .map(([name, port, n]) => `${name}.ns-${n}${port}`);
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.constantFrom(80, 443, undefined)), { maxLength: 50 }), (asked) => {
      for (const [written, defaultPort] of [...asked, ...asked]) {
        const buffer = Buffer.from(`GET http://${written}/`);
        const span = { buffer, start: 11, end: 11 + written.length };
        assert.equal(readAuthorityOf(span, defaultPort), readAuthority(written, defaultPort));
        buffer.fill(0);
      }
    }),
  );
});
