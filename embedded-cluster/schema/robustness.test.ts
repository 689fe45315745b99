import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import { builtinTypes } from './index.ts';
import type { ServedType } from './index.ts';
import { typeOfDefinition } from './type-node.ts';
import type { TypeNode } from './type-node.ts';

/** How deep generated objects go; deeper fields are left out. */
const maxDepth = 7;

const scalars = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer({ min: -5, max: 70_000 }),
  fc.constantFrom('', 'a', 'A_', 'http', '10%', 'None', 'Always', '2026-01-02T03:04:05Z', '1Gi', '__proto__'),
);

/** Mostly what the type wants, now and then anything. */
function arbitraryOf(type: TypeNode, depth: number): fc.Arbitrary<unknown> {
  const fitting = fittingOf(type, depth);
  return fc.oneof({ arbitrary: fitting, weight: 30 }, { arbitrary: scalars, weight: 1 });
}

function fittingOf(type: TypeNode, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'struct': {
      if (depth >= maxDepth) return fc.constant({});
      const fields = type.fieldNames.map((name): [string, fc.Arbitrary<unknown>] => {
        const field = type.field(name);
        return [
          name,
          field === undefined ? scalars : fc.constant(0).chain(() => arbitraryOf(field, depth + 1)),
        ];
      });
      return fc
        .subarray(fields, { maxLength: Math.min(6, fields.length) })
        .chain((chosen) => fc.record(Object.fromEntries(chosen)));
    }
    case 'map':
      return fc.dictionary(
        fc.constantFrom('a', 'b c', 'example.com/x'),
        fc.constant(0).chain(() => arbitraryOf(type.values, depth + 1)),
        { maxKeys: 2 },
      );
    case 'list':
      return fc.array(
        fc.constant(0).chain(() => arbitraryOf(type.items, depth + 1)),
        { maxLength: 2 },
      );
    case 'integer':
    case 'number':
      return fc.integer({ min: -5, max: 70_000 });
    case 'boolean':
      return fc.boolean();
    default:
      return fc.constantFrom('', 'a', 'http', '10%', 'None', '1', '10.0.0.1', ...enumOf(type));
  }
}

function enumOf(type: TypeNode): string[] {
  return (type.schema.enum ?? []).filter((value) => typeof value === 'string');
}

const storedTypes = builtinTypes().filter(({ resource }) => resource.verbs.includes('list'));

for (const type of storedTypes) {
  const { group, version, kind } = type.resource;
  test(`${kind} of ${group || 'core'}/${version}: any object is decoded, judged, tracked and printed or refused`, () => {
    fc.assert(
      fc.property(objectsOf(type), (object) => survives(type, object)),
      { numRuns: 40 },
    );
  });
}

function objectsOf(type: ServedType): fc.Arbitrary<StoredObject> {
  const { group, version, kind } = type.resource;
  const root = typeOfDefinition(type.schema.openApi?.$ref ?? '');
  return fittingOf(root, 0).map((value) => {
    const object = JSON.parse(JSON.stringify(value)) as StoredObject;
    object.apiVersion = group === '' ? version : `${group}/${version}`;
    object.kind = kind;
    object.metadata = { name: 'x' };
    return object;
  });
}

function survives({ schema, printer }: ServedType, object: StoredObject): void {
  try {
    schema.prune(object);
  } catch (error) {
    assert.ok(error instanceof ApiError && error.code === 400, String(error));
    return;
  }
  schema.applyDefaults(object);
  const once = structuredClone(object);
  schema.prune(object);
  schema.applyDefaults(object);
  assert.deepEqual(object, once, 'decoding and defaulting again changes nothing');
  for (const { field, message } of schema.validate(object)) assert.ok(field !== undefined && message !== '');
  schema.validate(object, structuredClone(object));
  schema.trackUpdate({ live: undefined, updated: object, manager: 'm', now: '2026-01-01T00:00:00Z' });
  assert.equal(printer.row(object, 0).length, printer.columns.length);
}
