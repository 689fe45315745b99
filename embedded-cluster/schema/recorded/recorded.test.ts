import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ApiError } from '../../types.ts';
import type { StoredObject } from '../../types.ts';
import { builtinTypes } from '../index.ts';
import type { ServedType } from '../index.ts';
import { cases } from './cases.ts';
import type { RecordedCase } from './cases.ts';
import { withoutServerFields } from './normalize.ts';

/** What a real server answered; see record.ts. */
interface Recording {
  code?: number;
  message?: string;
  causes?: { reason: string; message: string; field: string }[];
  object?: Record<string, unknown>;
  cells?: unknown[];
}

const recordings = JSON.parse(readFileSync(new URL('recorded.json', import.meta.url), 'utf8')) as Record<
  string,
  Recording
>;
const types = builtinTypes();

for (const [name, recordedCase] of Object.entries(cases)) {
  test(`as a real server: ${name}`, () => {
    const recording = recordings[name];
    assert.ok(recording, `${name} is not recorded yet`);
    const type = typeOf(recordedCase);
    if (recording.code === 400) {
      assert.throws(
        () => type.schema.prune(objectOf(recordedCase, type)),
        (error: unknown) =>
          error instanceof ApiError && error.code === 400 && error.message === recording.message,
        recording.message,
      );
      return;
    }
    const object = objectOf(recordedCase, type);
    type.schema.prune(object);
    type.schema.applyDefaults(object);
    const errors = type.schema.validate(object);
    if (recording.code !== undefined) {
      assert.deepEqual(sorted(errors), sorted(recording.causes ?? []));
      return;
    }
    assert.deepEqual(errors, []);
    const managedFields = type.schema.trackUpdate({
      live: undefined,
      updated: object,
      manager: 'recorder',
      now: '2026-01-01T00:00:00Z',
    });
    if (managedFields.length > 0) object.metadata.managedFields = managedFields;
    assert.deepEqual(withoutServerFields(object), recording.object);
    object.metadata.creationTimestamp = '2026-01-01T00:00:00Z';
    if (shown(recordedCase)) {
      const cells = type.printer.row(object, Date.parse('2026-01-01T00:00:00Z'));
      assert.deepEqual(cells, recording.cells);
    }
  });
}

/** Rows that show nothing which the server makes up: addresses, times, identities. */
function shown({ resource }: RecordedCase): boolean {
  return !['services', 'jobs', 'events', 'customresourcedefinitions', 'roles', 'networkpolicies'].includes(
    resource,
  );
}

function typeOf({ group, version, resource }: RecordedCase): ServedType {
  const found = types.find(
    (type) =>
      type.resource.group === group && type.resource.version === version && type.resource.plural === resource,
  );
  assert.ok(found, resource);
  return found;
}

function objectOf({ group, version, body, namespace }: RecordedCase, type: ServedType): StoredObject {
  const object = structuredClone(body) as StoredObject;
  object.apiVersion = group === '' ? version : `${group}/${version}`;
  object.kind = type.resource.kind;
  if (namespace !== undefined) object.metadata.namespace = namespace;
  return object;
}

/** The order of causes follows Go's maps in places, so it is not compared. */
function sorted<T extends { field: string; message: string }>(causes: readonly T[]): T[] {
  return causes.toSorted((a, b) => `${a.field} ${a.message}`.localeCompare(`${b.field} ${b.message}`));
}
