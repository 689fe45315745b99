import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ManagedFieldsEntry } from '../../api/kubernetes-types.ts';
import { ApiError } from '../types.ts';
import type { StoredObject } from '../types.ts';
import { builtinTypes, compileCrd, mergePatch } from './index.ts';
import type { ObjectSchema } from './index.ts';

const now = '2026-01-01T00:00:00Z';

function schemaOf(kind: string): ObjectSchema {
  const found = builtinTypes().find(({ resource }) => resource.kind === kind);
  assert.ok(found, kind);
  return found.schema;
}

const configMaps = schemaOf('ConfigMap');
const services = schemaOf('Service');

function configMap(fields: Record<string, unknown>): StoredObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, ...fields };
}

interface Session {
  schema: ObjectSchema;
  live: StoredObject | undefined;
}

function apply(
  session: Session,
  manager: string,
  applied: StoredObject,
  force = false,
  subresource = '',
): void {
  const { schema, live } = session;
  session.live = schema.serverSideApply({
    live,
    applied: structuredClone(applied),
    manager,
    force,
    now,
    ...(subresource === '' ? {} : { subresource }),
  });
}

function update(session: Session, manager: string, patch: unknown, subresource?: string): void {
  const { schema, live } = session;
  const updated = mergePatch(live, patch);
  assert.ok(updated);
  schema.prune(updated);
  const managedFields = schema.trackUpdate({
    live,
    updated,
    manager,
    now,
    ...(subresource === undefined ? {} : { subresource }),
  });
  session.live = { ...updated, metadata: { ...updated.metadata, managedFields } };
}

function owners(session: Session): Record<string, unknown> {
  const entries: ManagedFieldsEntry[] = session.live?.metadata.managedFields ?? [];
  return Object.fromEntries(
    entries.map(({ manager = '', operation = '', subresource, fieldsV1 }) => [
      [manager, operation, ...(subresource === undefined ? [] : [subresource])].join(' '),
      fieldsV1,
    ]),
  );
}

function conflictOf(work: () => void): ApiError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return error;
  }
  return assert.fail('no conflict');
}

test('ownership over a session, as a real server keeps it', () => {
  const session: Session = { schema: configMaps, live: undefined };
  apply(session, 'a', configMap({ metadata: { name: 'x', labels: { x: '1' } }, data: { a: '1', b: '2' } }));
  apply(session, 'b', configMap({ data: { b: '2', c: '3' } }));
  assert.deepEqual(owners(session), {
    'a Apply': { 'f:data': { 'f:a': {}, 'f:b': {} }, 'f:metadata': { 'f:labels': { 'f:x': {} } } },
    'b Apply': { 'f:data': { 'f:b': {}, 'f:c': {} } },
  });

  update(session, 'u', { data: { c: '9', d: '4' } });
  assert.deepEqual(owners(session), {
    'a Apply': { 'f:data': { 'f:a': {}, 'f:b': {} }, 'f:metadata': { 'f:labels': { 'f:x': {} } } },
    'b Apply': { 'f:data': { 'f:b': {} } },
    'u Update': { 'f:data': { 'f:c': {}, 'f:d': {} } },
  });

  const error = conflictOf(() => apply(session, 'b', configMap({ data: { b: '2', c: '3' } })));
  assert.equal(error.code, 409);
  assert.equal(error.message, 'Apply failed with 1 conflict: conflict with "u" using v1: .data.c');
  assert.deepEqual(error.status.details?.causes, [
    { reason: 'FieldManagerConflict', message: 'conflict with "u" using v1', field: '.data.c' },
  ]);

  apply(session, 'b', configMap({ data: { c: '3' } }), true);
  assert.deepEqual(session.live?.['data'], { a: '1', b: '2', c: '3', d: '4' });
  assert.deepEqual(owners(session)['b Apply'], { 'f:data': { 'f:c': {} } });
  assert.deepEqual(owners(session)['u Update'], { 'f:data': { 'f:d': {} } });

  update(session, 'u', { data: null });
  assert.deepEqual(owners(session), { 'a Apply': { 'f:metadata': { 'f:labels': { 'f:x': {} } } } });
});

test('several conflicts are listed by owner, with the keys of list items', () => {
  const session: Session = { schema: schemaOf('Deployment'), live: undefined };
  const deployment = (replicas: number, image: string): StoredObject => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'x' },
    spec: { replicas, template: { spec: { containers: [{ name: 'c', image }] } } },
  });
  apply(session, 'a', deployment(2, 'i'));
  const error = conflictOf(() => apply(session, 'b', deployment(3, 'j')));
  assert.equal(
    error.message,
    'Apply failed with 2 conflicts: conflicts with "a":\n- .spec.replicas\n- .spec.template.spec.containers[name="c"].image',
  );
  update(session, 'scaler', { spec: { replicas: 5 } }, 'scale');
  assert.equal(
    conflictOf(() => apply(session, 'a', deployment(2, 'i'))).message,
    'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas',
  );
});

test('list items are shared by key, default keys included', () => {
  const session: Session = { schema: services, live: undefined };
  const service = (ports: unknown[]): StoredObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'x' },
    spec: { ports },
  });
  apply(
    session,
    'u',
    service([
      { port: 80, name: 'a' },
      { port: 81, name: 'b' },
    ]),
  );
  apply(
    session,
    'z',
    service([
      { port: 81, protocol: 'TCP', name: 'b' },
      { port: 82, name: 'c' },
    ]),
  );
  apply(session, 'z', service([{ port: 82, name: 'c' }]));
  assert.deepEqual(portNames(session), ['a', 'b', 'c'], 'what another manager owns too stays');
  apply(session, 'u', service([{ port: 80, name: 'a' }]));
  assert.deepEqual(portNames(session), ['a', 'c'], 'what nobody owns any more goes');
  assert.deepEqual(owners(session)['z Apply'], {
    'f:spec': { 'f:ports': { 'k:{"port":82,"protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:port': {} } } },
  });
});

function portNames({ live }: Session): string[] {
  const spec = live?.['spec'] as { ports: { name: string }[] } | undefined;
  return (spec?.ports ?? []).map(({ name }) => name);
}

test('an object from before ownership was kept is protected by before-first-apply', () => {
  const session: Session = {
    schema: configMaps,
    live: configMap({ metadata: { name: 'x', labels: { x: '1' } }, data: { a: '1' } }),
  };
  assert.equal(
    conflictOf(() => apply(session, 'b', configMap({ data: { a: '2' } }))).message,
    'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
  );
  apply(session, 'b', configMap({ data: { e: '3' } }));
  assert.deepEqual(owners(session), {
    'b Apply': { 'f:data': { 'f:e': {} } },
    'before-first-apply Update': {
      'f:data': { '.': {}, 'f:a': {} },
      'f:metadata': { 'f:labels': { '.': {}, 'f:x': {} } },
    },
  });
});

test('status belongs to its own endpoint', () => {
  const pods = schemaOf('Pod');
  const session: Session = { schema: pods, live: undefined };
  const pod = (fields: Record<string, unknown>): StoredObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'x' },
    ...fields,
  });
  apply(session, 'a', pod({ spec: { nodeName: 'n' }, status: { phase: 'Failed' } }));
  assert.deepEqual(session.live?.['status'], {});
  apply(
    session,
    'kubelet',
    pod({ spec: { nodeName: 'other' }, status: { phase: 'Running' } }),
    false,
    'status',
  );
  assert.equal((session.live?.['spec'] as { nodeName?: string } | undefined)?.nodeName, 'n');
  assert.deepEqual(session.live?.['status'], { phase: 'Running' });
  assert.deepEqual(owners(session), {
    'a Apply': { 'f:spec': { 'f:nodeName': {} } },
    'kubelet Apply status': { 'f:status': { 'f:phase': {} } },
  });
});

test('what does not fit the type is refused with its path', () => {
  const refused = (applied: StoredObject, schema: ObjectSchema): ApiError =>
    conflictOf(() => apply({ schema, live: undefined }, 'a', applied));
  const service = (spec: unknown): StoredObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'x', namespace: 'n' },
    spec,
  });
  const start = 'failed to create typed patch object (n/x; /v1, Kind=Service): ';
  assert.equal(
    refused(service({ foo: 1 }), services).message,
    `${start}.spec.foo: field not declared in schema`,
  );
  assert.equal(
    refused(service({ type: 1 }), services).message,
    `${start}.spec.type: expected string, got number`,
  );
  assert.equal(
    refused(service({ ports: [{ port: 1 }, { port: 1 }] }), services).message,
    `${start}.spec.ports: duplicate entries for key [port=1,protocol="TCP"]`,
  );
  assert.equal(
    refused(service({ ports: [{ port: 1, foo: 1 }] }), services).message,
    `${start}.spec.ports[port=1,protocol="TCP"].foo: field not declared in schema`,
  );
  const managed = configMap({ metadata: { name: 'x', managedFields: [] } });
  assert.equal(refused(managed, configMaps).code, 400);
});

test('a client may rewrite the entries', () => {
  const session: Session = { schema: configMaps, live: undefined };
  update(session, 'kubectl-client-side-apply', configMap({ data: { a: '1' } }));
  const entries = session.live?.metadata.managedFields ?? [];
  const managedFields = entries.map((entry) => ({ ...entry, manager: 'kubectl', operation: 'Apply' }));
  update(session, 'kubectl', { metadata: { managedFields } });
  assert.deepEqual(owners(session), { 'kubectl Apply': { 'f:data': { '.': {}, 'f:a': {} } } });
});

test('a client may reset the bookkeeping', () => {
  const session: Session = { schema: configMaps, live: undefined };
  apply(session, 'a', configMap({ data: { a: '1' } }));
  update(session, 'u', { metadata: { managedFields: [{}] } });
  assert.deepEqual(owners(session), {});
});

test('changing manager names do not grow an object without end', () => {
  const session: Session = { schema: configMaps, live: undefined };
  update(session, 'maker', configMap({ data: { first: 'v' } }));
  for (let index = 0; index < 40; index += 1) update(session, `m${index}`, { data: { [`k${index}`]: 'v' } });
  const entries = session.live?.metadata.managedFields ?? [];
  assert.ok(entries.length <= 10, String(entries.length));
  assert.ok(entries.some(({ manager }) => manager === 'ancient-changes'));
});

/** A kind with every sort of list and map. */
const widgets = compileWidgets();

function compileWidgets(): ObjectSchema {
  const item = {
    type: 'object',
    properties: { name: { type: 'string' }, value: { type: 'integer' } },
    required: ['name'],
  };
  const { types, errors } = compileCrd({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.dev' },
    spec: {
      group: 'example.dev',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: {
                  type: 'object',
                  properties: {
                    one: { type: 'integer' },
                    two: { type: 'string' },
                    map: { type: 'object', additionalProperties: { type: 'integer' } },
                    whole: {
                      type: 'object',
                      additionalProperties: { type: 'integer' },
                      'x-kubernetes-map-type': 'atomic',
                    },
                    set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
                    items: {
                      type: 'array',
                      items: item,
                      'x-kubernetes-list-type': 'map',
                      'x-kubernetes-list-map-keys': ['name'],
                    },
                    list: { type: 'array', items: { type: 'integer' } },
                    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  },
                },
              },
            },
          },
        },
      ],
    },
  });
  assert.deepEqual(errors, []);
  const [type] = types;
  assert.ok(type);
  return type.schema;
}

const names = ['a', 'b', 'c', 'd'];

/** Configurations of the kind; `prefix` keeps two managers' fields apart. */
function specs(prefix: string): fc.Arbitrary<Record<string, unknown>> {
  const key = fc.constantFrom(...names.map((name) => prefix + name));
  const value = fc.integer({ min: 0, max: 3 });
  return fc.record(
    {
      map: fc.dictionary(key, value, { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
      set: fc.uniqueArray(key, { minLength: 1, maxLength: 3 }),
      items: fc
        .uniqueArray(key, { minLength: 1, maxLength: 3 })
        .chain((keys) => fc.tuple(...keys.map((name) => fc.record({ name: fc.constant(name), value })))),
      free: fc.dictionary(key, fc.dictionary(key, value, { minKeys: 1, noNullPrototype: true }), {
        minKeys: 1,
        noNullPrototype: true,
      }),
    },
    { requiredKeys: [], noNullPrototype: true },
  );
}

function widget(spec: Record<string, unknown>): StoredObject {
  return {
    apiVersion: 'example.dev/v1',
    kind: 'Widget',
    metadata: { name: 'x' },
    ...(Object.keys(spec).length === 0 ? {} : { spec }),
  };
}

test('applying twice changes nothing the second time', () => {
  fc.assert(
    fc.property(specs(''), specs(''), (first, second) => {
      const session: Session = { schema: widgets, live: undefined };
      apply(session, 'other', widget(first));
      apply(session, 'me', widget(second), true);
      const before = session.live;
      apply(session, 'me', widget(second));
      assert.equal(session.live, before);
    }),
  );
});

test('managers of different fields do not care who comes first', () => {
  fc.assert(
    fc.property(specs('x'), specs('y'), (left, right) => {
      const one: Session = { schema: widgets, live: undefined };
      apply(one, 'left', widget(left));
      apply(one, 'right', widget(right));
      const other: Session = { schema: widgets, live: undefined };
      apply(other, 'right', widget(right));
      apply(other, 'left', widget(left));
      assert.deepEqual(unordered(one.live), unordered(other.live));
    }),
  );
});

test('leaving out removes exactly what nobody else owns', () => {
  fc.assert(
    fc.property(specs(''), specs(''), specs(''), (mine, theirs, left) => {
      const session: Session = { schema: widgets, live: undefined };
      apply(session, 'them', widget(theirs));
      apply(session, 'me', widget(mine), true);
      apply(session, 'them', widget(theirs), true);
      apply(session, 'me', widget(left), true);
      apply(session, 'them', widget(theirs), true);
      const expected: Session = { schema: widgets, live: undefined };
      apply(expected, 'me', widget(left));
      apply(expected, 'them', widget(theirs), true);
      assert.deepEqual(unordered(session.live)['spec'], unordered(expected.live)['spec']);
    }),
  );
});

test('atomic lists and maps change hands as one', () => {
  const session: Session = { schema: widgets, live: undefined };
  apply(session, 'a', widget({ list: [1, 2], whole: { x: 1 } }));
  assert.match(conflictOf(() => apply(session, 'b', widget({ list: [3] }))).message, /"a": \.spec\.list$/);
  apply(session, 'b', widget({ list: [3], whole: { y: 2 } }), true);
  assert.deepEqual(session.live?.['spec'], { list: [3], whole: { y: 2 } });
  assert.deepEqual(owners(session), { 'b Apply': { 'f:spec': { 'f:list': {}, 'f:whole': {} } } });
});

/** Sets and keyed lists in one order, for comparing. */
function unordered(object: StoredObject | undefined): Record<string, unknown> {
  const sort = (value: unknown): unknown => {
    if (Array.isArray(value))
      return value.map(sort).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, sort(child)]));
  };
  return sort(object ?? {}) as Record<string, unknown>;
}
