import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import { builtinTypes, jsonPatch, mergePatch } from './index.ts';

function codeOf(work: () => unknown): number {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error.code;
  }
  return 0;
}

const json = fc.jsonValue({ maxDepth: 4 });
const document = fc.dictionary(fc.string({ maxLength: 2 }), json, { maxKeys: 4, noNullPrototype: true });

test('JSON patch: the operations of RFC 6902, appendix A', () => {
  const cases: [object: unknown, patch: unknown[], result: unknown][] = [
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [{ baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'qux' }], { baz: 'qux' }],
    [{ foo: 'bar' }, [{ op: 'add', path: '/child', value: { g: {} } }], { foo: 'bar', child: { g: {} } }],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc'] }], { foo: ['bar', ['abc']] }],
    [{ a: 1 }, [{ op: 'copy', from: '/a', path: '/b' }], { a: 1, b: 1 }],
    [{ a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
  ];
  for (const [object, patch, result] of cases) assert.deepEqual(jsonPatch(object, patch), result);
});

test('JSON patch: refusals, all or nothing', () => {
  const object = { foo: { bar: 1 }, list: [1] };
  const refused: [patch: unknown, code: number][] = [
    [{ op: 'add' }, 400],
    [[{ op: 'add', path: '/x' }], 400],
    [[{ op: 'move', path: '/x' }], 400],
    [[{ op: 'frobnicate', path: '/x', value: 1 }], 422],
    [[{ op: 'add', path: '/a/b/c', value: 1 }], 422],
    [[{ op: 'add', path: 'foo', value: 1 }], 422],
    [[{ op: 'add', path: '/list/2', value: 1 }], 422],
    [[{ op: 'add', path: '/list/01', value: 1 }], 422],
    [[{ op: 'remove', path: '/nope' }], 422],
    [[{ op: 'move', from: '/foo', path: '/foo/bar' }], 422],
    [
      [
        { op: 'remove', path: '/foo' },
        { op: 'test', path: '/list/0', value: 2 },
      ],
      422,
    ],
  ];
  for (const [patch, code] of refused) {
    assert.equal(
      codeOf(() => jsonPatch(object, patch)),
      code,
      JSON.stringify(patch),
    );
  }
  assert.deepEqual(object, { foo: { bar: 1 }, list: [1] });
});

test('JSON patch: what is added can be read and removed again, and prototypes stay alone', () => {
  fc.assert(
    fc.property(document, fc.oneof(fc.string(), fc.constant('__proto__')), json, (object, key, value) => {
      const path = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const added = jsonPatch(object, [
        { op: 'add', path, value },
        { op: 'test', path, value },
      ]);
      assert.ok(Object.hasOwn(added, key));
      if (Object.hasOwn(object, key)) return;
      assert.deepEqual(jsonPatch(added, [{ op: 'remove', path }]), object);
    }),
  );
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('merge patch: the table of RFC 7386, appendix A', () => {
  const cases: [object: unknown, patch: unknown, result: unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [object, patch, result] of cases) assert.deepEqual(mergePatch(object, patch), result);
  assert.equal(
    codeOf(() => mergePatch({}, ['c'])),
    400,
  );
  assert.equal(
    codeOf(() => mergePatch({}, null)),
    400,
  );
});

test('merge patch: applying twice is applying once, and the object stays as it was', () => {
  fc.assert(
    fc.property(document, document, (object, patch) => {
      const before = structuredClone(object);
      const once = mergePatch(object, patch);
      assert.deepEqual(mergePatch(once, patch), once);
      assert.deepEqual(object, before);
    }),
  );
});

const services = builtinTypes().find(({ resource }) => resource.kind === 'Service')?.schema;
const deployments = builtinTypes().find(({ resource }) => resource.kind === 'Deployment')?.schema;
assert.ok(services && deployments);

const service: StoredObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'x', finalizers: ['a/b', 'c/d'], labels: { l: '1' } },
  spec: {
    ports: [
      { port: 80, name: 'a' },
      { port: 81, name: 'b' },
      { port: 82, name: 'c' },
    ],
  },
};

/** Expected values are what a real server answered. */
test('strategic merge: lists merge by key, in the order of the real server', () => {
  const cases: [spec: unknown, ports: string[]][] = [
    [
      {
        ports: [
          { port: 81, targetPort: 9 },
          { port: 90, name: 'z' },
        ],
      },
      ['a', 'b:9', 'z', 'c'],
    ],
    [{ ports: [{ port: 81, $patch: 'delete' }] }, ['a', 'c']],
    [{ ports: [{ $patch: 'replace' }, { port: 90, name: 'z' }] }, ['z']],
    [
      { '$setElementOrder/ports': [{ port: 82 }, { port: 80 }], ports: [{ port: 82, targetPort: 5 }] },
      ['b', 'c:5', 'a'],
    ],
    [
      {
        '$setElementOrder/ports': [{ port: 90 }, { port: 82 }, { port: 80 }],
        ports: [
          { port: 90, name: 'z' },
          { port: 81, $patch: 'delete' },
        ],
      },
      ['z', 'c', 'a'],
    ],
    [{ '$setElementOrder/ports': [{ port: 82 }, { port: 81 }, { port: 80 }] }, ['c', 'b', 'a']],
  ];
  for (const [spec, expected] of cases) {
    const result = services.strategicMergePatch(service, { spec });
    const { ports } = result['spec'] as { ports: { name: string; targetPort?: number }[] };
    const shown = ports.map(({ name, targetPort }) =>
      targetPort === undefined ? name : `${name}:${targetPort}`,
    );
    assert.deepEqual(shown, expected, JSON.stringify(spec));
    assert.doesNotMatch(JSON.stringify(result), /\$/);
  }
});

test('strategic merge: lists of strings', () => {
  const finalizers = (metadata: unknown): unknown =>
    services.strategicMergePatch(service, { metadata }).metadata.finalizers;
  assert.deepEqual(
    finalizers({
      '$deleteFromPrimitiveList/finalizers': ['a/b'],
      '$setElementOrder/finalizers': ['e/f', 'c/d'],
      finalizers: ['e/f'],
    }),
    ['e/f', 'c/d'],
  );
  assert.deepEqual(finalizers({ finalizers: ['x/y', 'a/b'] }), ['x/y', 'a/b', 'c/d']);
  assert.deepEqual(finalizers({ '$deleteFromPrimitiveList/finalizers': ['a/b'] }), ['c/d']);
});

test('strategic merge: directives of objects', () => {
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'x', labels: { a: '1', b: '2' } },
    spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } },
  };
  const patched = (patch: unknown): StoredObject => deployments.strategicMergePatch(deployment, patch);
  assert.deepEqual(patched({ spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } })['spec'], {
    strategy: { type: 'Recreate' },
  });
  assert.deepEqual(patched({ metadata: { labels: { $patch: 'replace', c: '3' } } }).metadata.labels, {
    c: '3',
  });
  assert.deepEqual(patched({ metadata: { labels: { a: null } } }).metadata.labels, { b: '2' });
  assert.deepEqual(patched({ spec: { strategy: { $patch: 'delete' } } })['spec'], { strategy: {} });
  assert.deepEqual(deployment.metadata.labels, { a: '1', b: '2' });
});

test('strategic merge: refusals', () => {
  const refusal = (patch: unknown): string => {
    try {
      services.strategicMergePatch(service, patch);
    } catch (error) {
      assert.ok(error instanceof ApiError);
      return `${error.code} ${error.message}`;
    }
    return assert.fail('accepted');
  };
  assert.equal(
    refusal({ spec: { ports: [{ targetPort: 9 }] } }),
    '500 map: map[targetPort:9] does not contain declared merge key: port',
  );
  assert.equal(refusal({ spec: { $patch: 'foo' } }), '500 unknown patch type: foo in map: map[$patch:foo]');
  assert.equal(
    refusal([1]),
    '400 json: cannot unmarshal array into Go value of type map[string]interface {}',
  );
});
