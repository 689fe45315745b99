import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { load } from 'js-yaml';
import type { CustomResourceDefinition } from '../../api/kubernetes-types.ts';
import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import { compileCrd, openApiV3Document } from './index.ts';
import type { ServedType } from './index.ts';

function crdOf(
  spec: Record<string, unknown>,
  version: Record<string, unknown> = {},
): CustomResourceDefinition {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'bars.a.b' },
    spec: {
      group: 'a.b',
      scope: 'Namespaced',
      names: { plural: 'bars', kind: 'Bar' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', required: ['spec'], properties: { spec } } },
          ...version,
        },
      ],
    },
  };
}

function compiled(crd: CustomResourceDefinition): ServedType {
  const { types, errors } = compileCrd(crd);
  assert.deepEqual(errors, []);
  const [type] = types;
  assert.ok(type);
  return type;
}

function bar(fields: Record<string, unknown>): StoredObject {
  return { apiVersion: 'a.b/v1', kind: 'Bar', metadata: { name: 'x', namespace: 'n' }, ...fields };
}

function problems(type: ServedType, object: StoredObject): string[] {
  type.schema.prune(object);
  type.schema.applyDefaults(object);
  return type.schema.validate(object).map(({ field, message }) => `${field}: ${message}`);
}

const strict = compiled(
  crdOf({
    type: 'object',
    required: ['n'],
    properties: {
      n: { type: 'integer', minimum: 1, maximum: 5 },
      s: { type: 'string', pattern: '^a', maxLength: 3, minLength: 2 },
      e: { type: 'string', enum: ['x', 'y'] },
      l: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
      m: {
        type: 'array',
        maxItems: 1,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: { type: 'object', required: ['k'], properties: { k: { type: 'string' } } },
      },
      i: { 'x-kubernetes-int-or-string': true },
      b: { type: 'boolean' },
      o: {
        type: 'object',
        oneOf: [{ required: ['p'] }, { required: ['q'] }],
        properties: { p: { type: 'string' }, q: { type: 'string' } },
      },
    },
  }),
);

/** Expected texts are what a real server answered. */
test('a custom resource is refused in the words of the real server', () => {
  assert.deepEqual(problems(strict, bar({})), ['spec: Required value']);
  assert.deepEqual(problems(strict, bar({ spec: 'foo' })), [
    'spec: Invalid value: "string": spec in body must be of type object: "string"',
  ]);
  const wrong = bar({
    spec: { n: 9, s: 'bbbb', e: 'z', l: ['a', 'a'], m: [{ k: '1' }, { k: '1' }, {}], i: true, b: 'x', o: {} },
  });
  assert.deepEqual(
    problems(strict, wrong).sort(),
    [
      'spec.m[2].k: Required value',
      'spec.m: Too many: 3: must have at most 1 item',
      'spec.n: Invalid value: 9: spec.n in body should be less than or equal to 5',
      '<nil>: Invalid value: "": "spec.o" must validate one and only one schema (oneOf). Found none valid',
      'spec.o.p: Required value',
      'spec.s: Too long: may not be more than 3 bytes',
      'spec.b: Invalid value: "string": spec.b in body must be of type boolean: "string"',
      'spec.e: Unsupported value: "z": supported values: "x", "y"',
      'spec.i: Invalid value: "boolean": spec.i in body must be of type integer,string: "boolean"',
      'spec.l[1]: Duplicate value: "a"',
      'spec.m[1]: Duplicate value: {"k":"1"}',
    ].sort(),
  );
  const types = bar({ spec: { n: '5', s: 5, e: null, l: 'x', o: { p: '1', q: '2' }, m: [{ k: 1 }] } });
  assert.deepEqual(
    problems(strict, types).sort(),
    [
      'spec.l: Invalid value: "string": spec.l in body must be of type array: "string"',
      'spec.m[0].k: Invalid value: "integer": spec.m[0].k in body must be of type string: "integer"',
      'spec.n: Invalid value: "string": spec.n in body must be of type integer: "string"',
      '<nil>: Invalid value: "": "spec.o" must validate one and only one schema (oneOf). Found 2 valid alternatives',
      'spec.s: Invalid value: "integer": spec.s in body must be of type string: "integer"',
    ].sort(),
  );
  assert.deepEqual(problems(strict, bar({ spec: { n: 0, s: 'a', m: null } })), [
    'spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1',
    'spec.s: Invalid value: "a": spec.s in body should be at least 2 chars long',
  ]);
  assert.deepEqual(problems(strict, bar({ spec: { n: 3, i: '10%' } })), []);
});

test('unknown fields go, except where the schema keeps them', () => {
  const type = compiled(
    crdOf({
      type: 'object',
      properties: {
        known: { type: 'object', properties: { a: { type: 'string' } } },
        open: {
          type: 'object',
          'x-kubernetes-preserve-unknown-fields': true,
          properties: { in: { type: 'object' } },
        },
        list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } },
        embedded: { type: 'object', 'x-kubernetes-embedded-resource': true },
      },
    }),
  );
  const object = bar({
    extra: 1,
    metadata: { name: 'x', strange: true },
    spec: {
      known: { a: 'x', b: 1 },
      open: { any: { deep: 1 }, in: { gone: 1 } },
      list: [{ a: 'x' }, { c: 1 }],
      embedded: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'y' }, spec: {} },
    },
  });
  assert.deepEqual(type.schema.prune(object), [
    'metadata.strange',
    'extra',
    'spec.embedded.spec',
    'spec.known.b',
    'spec.list[1].c',
    'spec.open.in.gone',
  ]);
  assert.deepEqual(object['spec'], {
    known: { a: 'x' },
    open: { any: { deep: 1 }, in: {} },
    list: [{ a: 'x' }, {}],
    embedded: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'y' } },
  });
  assert.throws(
    () => type.schema.prune(bar({ metadata: { name: 'x', labels: { a: 1 } } })),
    (error: unknown) => error instanceof ApiError && error.code === 400,
  );
});

test('defaults fill in from the outside to the inside; null counts as left out unless it is allowed', () => {
  const type = compiled(
    crdOf({
      type: 'object',
      default: {},
      properties: {
        probe: { type: 'object', default: {}, properties: { period: { type: 'integer', default: 3 } } },
        nullable: { type: 'string', nullable: true, default: 'x' },
        items: {
          type: 'array',
          items: { type: 'object', properties: { on: { type: 'boolean', default: true } } },
        },
      },
    }),
  );
  const empty = bar({});
  type.schema.applyDefaults(empty);
  assert.deepEqual(empty['spec'], { probe: { period: 3 }, nullable: 'x' });
  const nulls = bar({ spec: { probe: null, nullable: null, items: [{}] } });
  type.schema.applyDefaults(nulls);
  assert.deepEqual(nulls['spec'], { probe: { period: 3 }, nullable: null, items: [{ on: true }] });
});

test('columns follow JSONPath, filters included', () => {
  const type = compiled(
    crdOf(
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      {
        additionalPrinterColumns: [
          { name: 'Target', type: 'string', jsonPath: '.spec.target' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
          { name: 'Label', type: 'string', jsonPath: ".metadata.labels['example\\.com/x']", priority: 1 },
          { name: 'All', type: 'string', jsonPath: '.spec.list[*].n' },
          { name: 'Count', type: 'integer', jsonPath: '.spec.target' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          { name: 'Broken', type: 'string', jsonPath: '.spec[' },
        ],
      },
    ),
  );
  const object = bar({
    metadata: { name: 'x', creationTimestamp: '2026-01-01T00:00:00Z', labels: { 'example.com/x': 'l' } },
    spec: { target: 'west', list: [{ n: 1 }, { n: 2 }] },
    status: {
      conditions: [
        { type: 'Other', status: 'False' },
        { type: 'Ready', status: 'True' },
      ],
    },
  });
  assert.deepEqual(
    type.printer.columns.map(({ name, priority }) => [name, priority]),
    [
      ['Name', 0],
      ['Target', 0],
      ['Ready', 0],
      ['Label', 1],
      ['All', 0],
      ['Count', 0],
      ['Age', 0],
      ['Broken', 0],
    ],
  );
  const row = type.printer.row(object, Date.parse('2026-01-01T00:05:30Z'));
  assert.deepEqual(row.toSpliced(3, 1), ['x', 'west', 'True', '1,2', null, '5m30s', null]);
  assert.deepEqual(
    compiled(crdOf({ type: 'object' })).printer.columns.map(({ name }) => name),
    ['Name', 'Age'],
  );
});

test('the CRDs of this project compile, and say no to strategic merge', () => {
  for (const file of ['link', 'trust-bundle', 'cluster-property']) {
    const text = readFileSync(new URL(`../../api/crds/${file}.yaml`, import.meta.url), 'utf8');
    const type = compiled(load(text) as CustomResourceDefinition);
    assert.throws(
      () => type.schema.strategicMergePatch(bar({}), {}),
      (error: unknown) => error instanceof ApiError && error.code === 415,
    );
    const { group, version, kind } = type.resource;
    const paths = openApiV3Document(group, version, [type])?.['paths'] as Record<string, unknown>;
    assert.ok(Object.keys(paths).length >= 2, kind);
  }
});

test('a CRD that cannot be served compiles to its errors', () => {
  const { types, errors } = compileCrd(
    crdOf({ type: 'object', properties: { a: { type: 'array' }, p: { type: 'string', pattern: '(' } } }),
  );
  assert.deepEqual(types, []);
  assert.deepEqual(
    errors.map(({ field }) => field),
    [
      'spec.validation.openAPIV3Schema.properties[spec].properties[a].items',
      'spec.validation.openAPIV3Schema.properties[spec].properties[p].pattern',
    ],
  );
});
