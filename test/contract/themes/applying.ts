import assert from 'node:assert/strict';
import { at, type Json } from '../json.ts';
import { configMap, deployment, service } from '../objects.ts';
import type { Theme } from '../scenario.ts';

const managed = { managedFields: true } as const;

export const applying: Theme = {
  name: 'applying',
  scenarios: {
    'apply makes, changes and takes away what its manager owns': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.patch(
        201,
        'apply',
        `${one}?fieldManager=me`,
        configMap('a', { x: '1', y: '2' }, { labels: { l: '1' } }),
        managed,
      );
      const same = await s.patch(
        200,
        'apply',
        `${one}?fieldManager=me`,
        configMap('a', { x: '1', y: '2' }, { labels: { l: '1' } }),
        managed,
      );
      const changed = await s.patch(
        200,
        'apply',
        `${one}?fieldManager=me`,
        configMap('a', { x: '3' }),
        managed,
      );
      assert.equal(at(changed, 'data.y'), undefined);
      assert.notEqual(at(same, 'metadata.resourceVersion'), at(changed, 'metadata.resourceVersion'));
      const none = await s.patch(200, 'apply', `${one}?fieldManager=me`, configMap('a'), managed);
      assert.equal(at(none, 'data'), undefined);
    },
    'a field of another manager is a conflict, unless forced or shared': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.patch(201, 'apply', `${one}?fieldManager=me`, configMap('a', { x: '1', y: '1' }), managed);
      await s.patch(409, 'apply', `${one}?fieldManager=you`, configMap('a', { x: '2', y: '2' }));
      await s.patch(200, 'apply', `${one}?fieldManager=you`, configMap('a', { x: '1' }), managed);
      await s.patch(409, 'apply', `${one}?fieldManager=you`, configMap('a', { x: '2' }));
      await s.patch(200, 'apply', `${one}?fieldManager=you&force=true`, configMap('a', { x: '2' }), managed);
      await s.patch(409, 'apply', `${one}?fieldManager=me`, configMap('a', { x: '1', y: '1' }));
      const left = await s.patch(200, 'apply', `${one}?fieldManager=me`, configMap('a', { y: '1' }), managed);
      assert.equal(at(left, 'data.x'), '2');
      await s.patch(200, 'merge', `${one}?fieldManager=third`, { data: { y: '3' } }, managed);
      await s.patch(409, 'apply', `${one}?fieldManager=me`, configMap('a', { y: '1' }));
    },
    'lists are merged by their keys': async (s) => {
      const one = `${s.path('deployments', 'apps/v1')}/d`;
      const withContainers = (containers: unknown[], more: Json = {}): Json =>
        deployment('d', {
          replicas: 0,
          paused: true,
          template: { metadata: { labels: { app: 'd' } }, spec: { schedulerName: 'nobody', containers } },
          ...more,
        });
      await s.patch(
        201,
        'apply',
        `${one}?fieldManager=me`,
        withContainers([
          { name: 'a', image: 'a', env: [{ name: 'X', value: '1' }], ports: [{ containerPort: 80 }] },
        ]),
        managed,
      );
      const sidecar = {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'd' },
        spec: {
          template: {
            spec: {
              containers: [
                { name: 'b', image: 'b' },
                { name: 'a', env: [{ name: 'Y', value: '2' }] },
              ],
            },
          },
        },
      };
      const both = await s.patch(200, 'apply', `${one}?fieldManager=sidecar`, sidecar, managed);
      assert.deepEqual(
        (at(both, 'spec.template.spec.containers') as Json[]).map((c) => c['name']),
        ['b', 'a'],
      );
      await s.patch(
        200,
        'apply',
        `${one}?fieldManager=me`,
        withContainers([{ name: 'a', image: 'a2' }]),
        managed,
      );
      await s.patch(409, 'apply', `${one}?fieldManager=sidecar`, {
        ...sidecar,
        spec: { template: { spec: { containers: [{ name: 'a', image: 'z' }] } } },
      });
      await s.patch(200, 'apply', `${one}?fieldManager=sidecar`, { ...sidecar, spec: {} }, managed);
    },
    'lists of a Service: ports by port and protocol, finalizers as a set': async (s) => {
      const one = `${s.path('services')}/s`;
      const of = (ports: unknown[], metadata: Json = {}): Json => ({
        ...service('s', { ports }),
        metadata: { name: 's', ...metadata },
      });
      await s.patch(201, 'apply', `${one}?fieldManager=me`, of([{ name: 'a', port: 80 }]), managed);
      await s.patch(
        200,
        'apply',
        `${one}?fieldManager=you`,
        of([{ name: 'b', port: 81 }], { finalizers: ['example.com/hold'] }),
        managed,
      );
      await s.patch(
        409,
        'apply',
        `${one}?fieldManager=you`,
        of([
          { name: 'c', port: 80 },
          { name: 'b', port: 81 },
        ]),
      );
      await s.patch(
        200,
        'apply',
        `${one}?fieldManager=me`,
        of([{ name: 'a', port: 82, protocol: 'UDP' }]),
        managed,
      );
      await s.call('PATCH', `${one}?fieldManager=me`, {
        body: of([
          { name: 'a', port: 82 },
          { name: 'b', port: 82 },
        ]),
        headers: { 'content-type': 'application/apply-patch+yaml' },
      });
      await s.patch(200, 'apply', `${one}?fieldManager=you`, of([{ name: 'b', port: 81 }]), managed);
    },
    'what apply can not take': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      const apply = { 'content-type': 'application/apply-patch+yaml' };
      await s.expect(422, 'PATCH', one, { body: configMap('a'), headers: apply });
      await s.expect(422, 'PATCH', `${one}?force=true`, { body: configMap('a'), headers: apply });
      for (const body of [
        configMap('b'),
        configMap('a', {}, { namespace: 'other' }),
        configMap('a', {}, { managedFields: [{ manager: 'x' }] }),
        configMap('a', {}, { resourceVersion: '1' }),
        configMap('a', {}, { uid: 'x' }),
        { metadata: { name: 'a' } },
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } },
        { apiVersion: 'apps/v1', kind: 'ConfigMap', metadata: { name: 'a' } },
        { ...configMap('a'), bogus: 1 },
        configMap('a', { x: 1 as never }),
        configMap('a', 'x' as never),
        { ...configMap('a'), metadata: 'x' },
      ]) {
        await s.call('PATCH', `${one}?fieldManager=me`, { body, headers: apply });
        await s.client.call('DELETE', one);
      }
      await s.call('PATCH', `${one}?fieldManager=me`, { body: 'a: b: c', headers: apply });
      await s.call('PATCH', `${one}?fieldManager=me`, { body: '[]', headers: apply });
      await s.call('PATCH', `${one}?fieldManager=me&fieldValidation=Strict`, {
        body: { ...configMap('a'), bogus: 1 },
        headers: apply,
      });
      await s.call('PATCH', `${s.path('deployments', 'apps/v1')}/d?fieldManager=me`, {
        body: deployment('d', { replicas: 'x' }),
        headers: apply,
      });
      await s.patch(422, 'merge', `${one}?force=true`, {});
      const doubled = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: "1"\n  x: "2"\n';
      await s.call('PATCH', `${one}?fieldManager=me`, { body: doubled, headers: apply });
      await s.call('PATCH', `${one}?fieldManager=me&fieldValidation=Strict`, {
        body: doubled,
        headers: apply,
      });
    },
    'apply over what an update made': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.expect(201, 'POST', `${s.path('configmaps')}?fieldManager=me`, {
        body: configMap('a', { x: '1' }),
        managedFields: true,
      });
      await s.patch(409, 'apply', `${one}?fieldManager=me`, configMap('a', { x: '2' }));
      await s.patch(200, 'apply', `${one}?fieldManager=me`, configMap('a', { x: '1' }), managed);
      await s.patch(200, 'apply', `${one}?fieldManager=you&force=true`, configMap('a', { x: '2' }), managed);
    },
    'ownership can be rewritten by a patch': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      const made = await s.expect(201, 'POST', `${s.path('configmaps')}?fieldManager=before`, {
        body: configMap('a', { x: '1' }),
        managedFields: true,
      });
      const entries = (at(made, 'metadata.managedFields') as Json[]).map((entry) => ({
        ...entry,
        manager: 'after',
        operation: 'Apply',
      }));
      const moved = await s.patch(
        200,
        'json',
        one,
        [{ op: 'replace', path: '/metadata/managedFields', value: entries }],
        managed,
      );
      assert.equal(at(moved, 'metadata.managedFields.0.manager'), 'after');
      await s.patch(200, 'apply', `${one}?fieldManager=after`, configMap('a', { y: '2' }), managed);
    },
    'nobody owns that a list is empty; an empty map belongs to who applies it': async (s) => {
      const one = `${s.path('services')}/s`;
      const of = (ports: unknown[], finalizers: string[]): Json => ({
        ...service('s', { clusterIP: 'None', selector: {}, ports }),
        metadata: { name: 's', labels: {}, finalizers },
      });
      await s.patch(201, 'apply', `${one}?fieldManager=me`, of([], []), managed);
      const port = { name: 'a', port: 80 };
      await s.patch(200, 'apply', `${one}?fieldManager=me`, of([port], ['example.com/hold']), managed);
      await s.patch(200, 'apply', `${one}?fieldManager=me`, of([], []), managed);
    },
    'conflicts are told by owner, and what ends higher up first': async (s) => {
      const one = `${s.path('services')}/s`;
      const of = (name: string, spec: Json): Json => service('s', { ports: [{ name, port: 80 }], ...spec });
      await s.patch(201, 'apply', `${one}?fieldManager=me`, of('a', { sessionAffinity: 'None' }), managed);
      const theirs = of('b', { sessionAffinity: 'ClientIP' });
      await s.patch(409, 'apply', `${one}?fieldManager=you`, theirs);
    },
    'what nobody owns stays so under updates, until somebody applies': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('a', { x: '1' }) });
      const none = { metadata: { managedFields: [{}] } };
      await s.patch(200, 'merge', one, none, managed);
      await s.patch(200, 'merge', `${one}?fieldManager=me`, { data: { y: '1' } }, managed);
      await s.patch(200, 'apply', `${one}?fieldManager=you`, configMap('a', { z: '1' }), managed);
    },
    'apply with dryRun': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.patch(201, 'apply', `${one}?fieldManager=me&dryRun=All`, configMap('a', { x: '1' }), managed);
      await s.expect(404, 'GET', one);
      await s.patch(201, 'apply', `${one}?fieldManager=me`, configMap('a', { x: '1' }), managed);
      await s.patch(200, 'apply', `${one}?fieldManager=me&dryRun=All`, configMap('a', { x: '2' }), managed);
      assert.equal(at(await s.expect(200, 'GET', one), 'data.x'), '1');
    },
  },
};
