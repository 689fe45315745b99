import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldId, Head } from '../proxy/index.ts';
import { TargetNames } from './target-names.ts';

function naming(...targets: string[]): Head {
  const head = new Head();
  for (const target of targets) {
    const bytes = Buffer.from(target);
    head.add(FieldId.isthmusTarget, bytes, 0, 0, bytes, 0, bytes.length);
  }
  return head;
}

test('each request has the target that it names, whatever was named before', () => {
  const names = new TargetNames();
  const asked = [
    'web.shop:80',
    'web.shop:80',
    'WEB.shop:80',
    'web.shop:81',
    'web.shop',
    'web.shop:80',
    'web.shop:8',
  ];
  assert.deepEqual(
    asked.map((target) => names.of(naming(target))),
    ['web.shop:80', 'web.shop:80', 'web.shop:80', 'web.shop:81', undefined, 'web.shop:80', 'web.shop:8'],
  );
});

test('a request that names none, or two, has no target', () => {
  const names = new TargetNames();
  assert.equal(names.of(naming()), undefined);
  assert.equal(names.of(naming('')), undefined);
  assert.equal(names.of(naming('web.shop:80')), 'web.shop:80');
  assert.equal(names.of(naming()), undefined);
  assert.equal(names.of(naming('web.shop:80', 'web.shop:80')), undefined);
});
