import assert from 'node:assert/strict';
import { at, type Json, listAt, names, stringAt } from '../json.ts';
import type { Scenario, Theme } from '../scenario.ts';

const widgetSchema: Json = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 10 },
        color: { type: 'string', enum: ['red', 'blue'], default: 'red' },
        name: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
        parts: {
          type: 'array',
          maxItems: 3,
          items: {
            type: 'object',
            required: ['id'],
            properties: { id: { type: 'string' }, weight: { type: 'integer', default: 5 } },
          },
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['id'],
        },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        limits: { type: 'object', additionalProperties: { 'x-kubernetes-int-or-string': true } },
        open: {
          type: 'object',
          'x-kubernetes-preserve-unknown-fields': true,
          properties: { known: { type: 'integer' } },
        },
        nothing: { type: 'string', nullable: true },
        any: {
          anyOf: [{ required: ['x'] }, { required: ['y'] }],
          type: 'object',
          properties: { x: { type: 'string' }, y: { type: 'string' } },
        },
      },
    },
    status: {
      type: 'object',
      properties: { replicas: { type: 'integer' }, phase: { type: 'string' }, selector: { type: 'string' } },
    },
  },
};

function definition(s: Scenario, more: Json = {}, versionMore: Json = {}): Json {
  const group = `${s.id}.example.com`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: widgetSchema },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.size',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          ...versionMore,
        },
      ],
      ...more,
    },
  };
}

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Makes the definition and waits until its resources are served. Answers the path of the collection. */
async function define(s: Scenario, body: Json): Promise<string> {
  const name = stringAt(body, 'metadata.name');
  await s.expect(201, 'POST', DEFINITIONS, { body });
  s.after(() => s.client.call('DELETE', `${DEFINITIONS}/${name}`));
  await s.until('it is established', `${DEFINITIONS}?fieldSelector=metadata.name%3D${name}`, established);
  for (const version of listAt(body, 'spec.versions')) await served(s, stringAt(version, 'name'));
  return s.path('widgets', `${s.id}.example.com/v1`);
}

function established(event: Json): boolean {
  const conditions = at(event, 'object.status.conditions');
  return (
    Array.isArray(conditions) &&
    conditions.some((entry) => at(entry, 'type') === 'Established' && at(entry, 'status') === 'True')
  );
}

/** A definition that has just been established is served a moment later, and told by discovery another moment later. */
async function served(s: Scenario, version: string): Promise<void> {
  const group = `/apis/${s.id}.example.com`;
  const collection = s.path('widgets', `${s.id}.example.com/${version}`);
  for (const path of [`${collection}?limit=1`, `${group}/${version}`])
    await s.poll(
      `${path} to be served`,
      () => s.client.call('GET', path),
      ({ code }) => code === 200,
    );
  await s.poll(
    `${group} to have ${version}`,
    () => s.client.call('GET', group),
    ({ body }) => listAt(body, 'versions').some((entry) => at(entry, 'version') === version),
  );
}

function widget(s: Scenario, name: string, spec: Json = {}, more: Json = {}): Json {
  return {
    apiVersion: `${s.id}.example.com/v1`,
    kind: 'Widget',
    metadata: { name },
    spec: { size: 1, ...spec },
    ...more,
  };
}

export const customResources: Theme = {
  name: 'custom-resources',
  scenarios: {
    'apply keeps nulls, and leaves null of a map that it empties: validation judges them': async (s) => {
      const path = await define(s, definition(s));
      const one = `${path}/a?fieldManager=me`;
      const managed = { managedFields: true };
      const body = widget(s, 'a', { color: null, open: null, parts: null, nothing: null });
      await s.expect(201, 'POST', path, { body, ...managed });
      for (const nothing of [{ tags: null }, { open: null }]) {
        await s.patch(422, 'apply', one, widget(s, 'a', nothing));
      }
      for (const parts of [[null], ['x'], [{ weight: 1 }], [{ id: 'a' }, { id: 'a' }]]) {
        await s.patch(500, 'apply', one, widget(s, 'a', { parts }));
      }
      for (const tags of [[null], [{}], [[]], ['a', 'a']]) {
        await s.patch(500, 'apply', one, widget(s, 'a', { tags }));
      }
      for (const list of [{ parts: [null] }, { tags: [null] }]) {
        await s.expect(422, 'POST', path, { body: widget(s, 'b', list) });
      }
      const limited = widget(s, 'a', { limits: { x: 1 }, color: null, nothing: null });
      await s.patch(200, 'apply', `${one}&force=true`, limited, managed);
      await s.patch(422, 'apply', one, widget(s, 'a', { limits: {} }));
      await s.patch(200, 'apply', `${path}/a?fieldManager=you`, widget(s, 'a', { limits: null }), managed);
      // Nothing but the null of another manager is left.
      await s.patch(422, 'apply', one, widget(s, 'a'));
    },
    'a definition is established and its resources are served': async (s) => {
      const path = await define(s, definition(s));
      await s.expect(200, 'GET', `${DEFINITIONS}/widgets.${s.id}.example.com`);
      await s.expect(200, 'GET', path);
      const made = await s.expect(201, 'POST', path, { body: widget(s, 'a'), managedFields: true });
      assert.equal(at(made, 'spec.color'), 'red');
      assert.equal(at(made, 'metadata.generation'), 1);
      await s.expect(409, 'POST', path, { body: widget(s, 'a') });
      await s.expect(422, 'PUT', `${path}/a`, { body: widget(s, 'a', { size: 2 }) });
      const updated = await s.expect(200, 'PUT', `${path}/a`, { body: { ...made, spec: { size: 2 } } });
      assert.equal(at(updated, 'metadata.generation'), 2);
      await s.expect(409, 'PUT', `${path}/a`, { body: { ...made, spec: { size: 3 } } });
      await s.patch(200, 'merge', `${path}/a`, { spec: { size: 4 } });
      await s.patch(200, 'json', `${path}/a`, [{ op: 'replace', path: '/spec/size', value: 5 }]);
      await s.call('PATCH', `${path}/a`, {
        body: {},
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
      await s.expect(404, 'GET', `${path}/none`);
      await s.expect(200, 'DELETE', `${path}/a`);
    },
    'unknown fields are pruned, defaults are filled in': async (s) => {
      const path = await define(s, definition(s));
      const body = widget(
        s,
        'a',
        {
          bogus: 1,
          open: { known: 1, more: { deep: [1] } },
          parts: [{ id: 'a', odd: 1 }],
          nothing: null,
          color: null,
        },
        { extra: true },
      );
      const made = await s.expect(201, 'POST', path, { body });
      assert.deepEqual(at(made, 'spec.parts'), [{ id: 'a', weight: 5 }]);
      assert.deepEqual(at(made, 'spec.open'), { known: 1, more: { deep: [1] } });
      await s.expect(400, 'POST', `${path}?fieldValidation=Strict`, {
        body: { ...body, metadata: { name: 'b', odd: 1 } },
      });
      await s.expect(201, 'POST', `${path}?fieldValidation=Ignore`, {
        body: { ...body, metadata: { name: 'c' } },
      });
      await s.patch(200, 'merge', `${path}/a`, { spec: { bogus: 2 } });
      await s.call('PATCH', `${path}/a?fieldValidation=Strict`, {
        body: { spec: { bogus: 2 } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    },
    'what the schema does not allow is refused': async (s) => {
      const path = await define(s, definition(s, {}, { subresources: { status: {} } }));
      for (const spec of [
        { size: 0 },
        { size: 11 },
        { size: 'x' },
        { size: 1.5 },
        { size: null },
        { color: 'green' },
        { name: 'ABC' },
        { name: 'abcdefg' },
        { parts: [{ weight: 1 }] },
        { parts: [{ id: 'a' }, { id: 'a' }] },
        { parts: [{ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'd' }] },
        { tags: ['a', 'a'] },
        { limits: { cpu: true } },
        { any: {} },
        { parts: 'x' },
      ]) {
        await s.call('POST', path, { body: widget(s, 'a', spec) });
        await s.client.call('DELETE', `${path}/a`);
      }
      await s.call('POST', path, { body: { ...widget(s, 'a'), spec: undefined } });
      await s.call('POST', path, { body: { ...widget(s, 'A_') } });
      await s.call('POST', path, { body: { ...widget(s, 'a'), kind: 'Gadget' } });
      await s.call('POST', path, { body: { ...widget(s, 'a'), apiVersion: 'v1' } });
      await s.call('POST', path, { body: { metadata: { name: 'a' }, spec: { size: 1 } } });
      await s.call('POST', path, {
        body: { ...widget(s, 'a'), metadata: { name: 'a', labels: { a: 1 } } },
        pick: (body) => body['reason'],
      });
    },
    'status and scale': async (s) => {
      const path = await define(s, definition(s));
      const made = await s.expect(201, 'POST', path, {
        body: widget(s, 'a', {}, { status: { phase: 'Hidden' } }),
      });
      assert.equal(at(made, 'status'), undefined);
      const status = await s.patch(200, 'merge', `${path}/a/status`, {
        spec: { size: 9 },
        status: { phase: 'Up', replicas: 3, selector: 'a=b' },
      });
      assert.deepEqual([at(status, 'spec.size'), at(status, 'metadata.generation')], [1, 1]);
      await s.patch(200, 'merge', `${path}/a`, { status: { phase: 'Down' } });
      await s.call('PATCH', `${path}/a/status`, {
        body: { status: { replicas: 'x' } },
        headers: { 'content-type': 'application/merge-patch+json' },
        pick: ({ reason, code }) => ({ reason, code }),
      });
      const scale = await s.expect(200, 'GET', `${path}/a/scale`);
      assert.equal(at(scale, 'status.selector'), 'a=b');
      await s.patch(200, 'merge', `${path}/a/scale`, { spec: { replicas: 4 } });
      await s.expect(200, 'PUT', `${path}/a/scale`, {
        body: { ...scale, metadata: { name: 'a', namespace: s.namespace }, spec: { replicas: 5 } },
      });
      assert.equal(at(await s.expect(200, 'GET', `${path}/a`), 'spec.size'), 5);
      await s.call('PATCH', `${path}/a/scale`, {
        body: { spec: { replicas: 50 } },
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    },
    'apply merges by the schema': async (s) => {
      const path = await define(s, definition(s));
      const managed = { managedFields: true } as const;
      await s.patch(
        201,
        'apply',
        `${path}/a?fieldManager=me`,
        widget(s, 'a', { parts: [{ id: 'a' }], tags: ['x'] }),
        managed,
      );
      await s.patch(
        200,
        'apply',
        `${path}/a?fieldManager=you`,
        widget(s, 'a', { parts: [{ id: 'b', weight: 1 }], tags: ['y'] }),
        managed,
      );
      await s.patch(409, 'apply', `${path}/a?fieldManager=you`, widget(s, 'a', { size: 2 }));
      await s.patch(200, 'apply', `${path}/a?fieldManager=me`, widget(s, 'a'), managed);
      await s.call('PATCH', `${path}/a?fieldManager=me`, {
        body: widget(s, 'a', { size: 'x' }),
        headers: { 'content-type': 'application/apply-patch+yaml' },
      });
      await s.call('PATCH', `${path}/a?fieldManager=me`, {
        body: widget(s, 'a', { bogus: 1 }),
        headers: { 'content-type': 'application/apply-patch+yaml' },
      });
    },
    'several versions are views of one object': async (s) => {
      const two = {
        name: 'v1beta1',
        served: true,
        storage: false,
        deprecated: true,
        schema: { openAPIV3Schema: widgetSchema },
      };
      const base = definition(s);
      const versions = [...(at(base, 'spec.versions') as Json[]), two];
      const path = await define(s, definition(s, { versions }));
      const old = path.replace('/v1/', '/v1beta1/');
      await s.expect(201, 'POST', path, { body: widget(s, 'a') });
      const seen = await s.expect(200, 'GET', `${old}/a`);
      assert.equal(at(seen, 'apiVersion'), `${s.id}.example.com/v1beta1`);
      await s.patch(200, 'merge', `${old}/a`, { spec: { size: 3 } }, { managedFields: true });
      await s.expect(200, 'GET', `${path}/a`);
      await s.expect(200, 'GET', `/apis/${s.id}.example.com`);
      await s.expect(200, 'GET', `/apis/${s.id}.example.com/v1`);
      await s.expect(200, 'GET', `/apis/${s.id}.example.com/v1beta1`);
      await s.expect(422, 'PUT', `${DEFINITIONS}/widgets.${s.id}.example.com`, {
        body: { ...definition(s), spec: { ...(at(base, 'spec') as Json), group: 'other.example.com' } },
      });
    },
    'printer columns make the table': async (s) => {
      const additionalPrinterColumns = [
        { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
        { name: 'Color', type: 'string', jsonPath: '.spec.color', priority: 1, description: 'its color' },
        { name: 'Missing', type: 'string', jsonPath: '.spec.nothing' },
        { name: 'First', type: 'string', jsonPath: '.spec.parts[0].id' },
        { name: 'Since', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      ];
      const path = await define(s, definition(s, {}, { additionalPrinterColumns }));
      await s.expect(201, 'POST', path, { body: widget(s, 'a', { parts: [{ id: 'one' }, { id: 'two' }] }) });
      const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
      const table = await s.expect(200, 'GET', path, {
        headers: { accept },
        pick: ({ columnDefinitions, rows }) => ({ columnDefinitions, cells: at(rows, '0.cells') }),
      });
      assert.equal(at(table, 'rows.0.cells.1'), 1);
    },
    'fields can be selected by where the definition says so': async (s) => {
      const path = await define(s, definition(s, {}, { selectableFields: [{ jsonPath: '.spec.color' }] }));
      await s.expect(201, 'POST', path, { body: widget(s, 'a') });
      await s.expect(201, 'POST', path, { body: widget(s, 'b', { color: 'blue' }) });
      assert.deepEqual(names(await s.expect(200, 'GET', `${path}?fieldSelector=spec.color%3Dblue`)), ['b']);
      await s.expect(400, 'GET', `${path}?fieldSelector=spec.size%3D1`);
    },
    'definitions that are refused': async (s) => {
      const of = (more: Json, versionMore: Json = {}): Json => definition(s, more, versionMore);
      const schema = (openAPIV3Schema: Json): Json => of({}, { schema: { openAPIV3Schema } });
      for (const body of [
        { ...definition(s), metadata: { name: 'wrong' } },
        of({ scope: 'Sideways' }),
        of({ versions: [] }),
        of({}, { storage: false }),
        of({}, { schema: undefined }),
        of({ names: { plural: 'widgets', kind: 'widget_' } }),
        schema({ type: 'array' }),
        schema({ type: 'object', properties: { a: {} } }),
        schema({ type: 'object', properties: { a: { type: 'string', default: 5 } } }),
        schema({
          type: 'object',
          properties: { a: { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' } },
        }),
        schema({ type: 'object', properties: { a: { type: 'nonsense' } } }),
        of({}, { additionalPrinterColumns: [{ name: '', type: 'x', jsonPath: 'a' }] }),
      ]) {
        await s.call('POST', `${DEFINITIONS}?dryRun=All`, {
          body,
          pick: ({ reason, code }) => ({ reason, code }),
        });
      }
    },
    'a definition takes its objects with it': async (s) => {
      const path = await define(s, definition(s));
      await s.expect(201, 'POST', path, { body: widget(s, 'a') });
      const name = `widgets.${s.id}.example.com`;
      await s.untilGone(name, `${DEFINITIONS}?fieldSelector=metadata.name%3D${name}`, () =>
        s.expect(200, 'DELETE', `${DEFINITIONS}/${name}`, { pick: (body) => at(body, 'kind') }),
      );
      await s.expect(404, 'GET', `${DEFINITIONS}/${name}`);
    },
  },
};
