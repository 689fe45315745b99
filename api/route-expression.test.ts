import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { routeExpression } from './route-expression.ts';

test('an expression is for the whole text', () => {
  const orders = routeExpression('/v[0-9]+/orders(/.*)?');
  assert.deepEqual(
    ['/v1/orders', '/v12/orders/7', '/v1/orders7', '/x/v1/orders'].map((text) => orders.test(text)),
    [true, true, false, false],
  );
  assert.deepEqual(
    ['a', 'b', 'ab'].map((text) => routeExpression('a|b').test(text)),
    [true, true, false],
  );
});

test('no text makes an expression try one way after the other for ever', () => {
  const text = `${'a'.repeat(5_000)}!`;
  // Often: code that is run often is compiled anew.
  for (const source of ['(a+)+', '(a|a)*b?', '(.*a)*x', '(a*)*[ab]{30}'])
    for (let i = 0; i < 5; i++) assert.equal(routeExpression(source).test(text), false, source);
});

test('counts of more than the engine takes mean what they mean', () => {
  const counts = fc.tuple(fc.nat(50), fc.option(fc.nat(40), { nil: undefined }));
  const atom = fc.constantFrom('a', '[ab]', '\\w', '.', '[\\]a]', '\\.');
  fc.assert(
    fc.property(
      atom,
      counts,
      fc.nat(100),
      fc.constantFrom('a', 'b', '.', ']'),
      (one, [least, more], n, c) => {
        const most = more === undefined ? '' : String(least + more);
        for (const count of [`{${least}}`, `{${least},${most}}`]) {
          const text = `x${c.repeat(n)}`;
          const wanted = new RegExp(`^(?:x${one}${count})$`).test(text);
          assert.equal(routeExpression(`x${one}${count}`).test(text), wanted, `${one}${count} on ${text}`);
        }
      },
    ),
  );
});

for (const source of ['a(', '[a', 'a{2', '(?=a)b', '(a)\\1', '\\p{L}', '(ab){17}', '[ab]{9999}'])
  test(`${source} is refused`, () => assert.throws(() => routeExpression(source), SyntaxError));
