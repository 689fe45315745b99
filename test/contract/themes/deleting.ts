import assert from 'node:assert/strict';
import { at, type Json, names, stringAt } from '../json.ts';
import { configMap, deployment, pod } from '../objects.ts';
import type { Scenario, Theme } from '../scenario.ts';

function options(more: Json): { body: Json } {
  return { body: { kind: 'DeleteOptions', apiVersion: 'v1', ...more } };
}

async function owned(s: Scenario, name: string, owner: Json, block = false): Promise<void> {
  const reference = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: stringAt(owner, 'metadata.name'),
    uid: stringAt(owner, 'metadata.uid'),
    ...(block ? { blockOwnerDeletion: true } : {}),
  };
  await s.expect(201, 'POST', s.path('configmaps'), {
    body: configMap(name, {}, { ownerReferences: [reference] }),
  });
}

/** The work makes the garbage collector delete a ConfigMap. */
function collected(s: Scenario, name: string, work: () => Promise<unknown>): Promise<void> {
  return s.untilGone(name, `${s.path('configmaps')}?fieldSelector=metadata.name%3D${name}`, work);
}

export const deleting: Theme = {
  name: 'deleting',
  scenarios: {
    preconditions: async (s) => {
      const one = `${s.path('configmaps')}/a`;
      const made = await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('a') });
      await s.expect(
        409,
        'DELETE',
        one,
        options({ preconditions: { uid: '11111111-1111-1111-1111-111111111111' } }),
      );
      await s.call('DELETE', one, {
        ...options({ preconditions: { resourceVersion: '1' } }),
        pick: ({ message, ...body }) => ({
          ...body,
          message: String(message).replace(/record \(\d+\)/, 'record (<rv>)'),
        }),
      });
      await s.expect(
        200,
        'DELETE',
        one,
        options({
          preconditions: {
            uid: at(made, 'metadata.uid'),
            resourceVersion: at(made, 'metadata.resourceVersion'),
          },
        }),
      );
    },
    'options that do not fit': async (s) => {
      const one = `${s.path('configmaps')}/kube-root-ca.crt`;
      await s.expect(422, 'DELETE', one, options({ propagationPolicy: 'Sideways' }));
      await s.call('DELETE', `${one}?propagationPolicy=Sideways`);
      await s.call('DELETE', one, options({ propagationPolicy: 'Orphan', orphanDependents: true }));
      await s.call('DELETE', one, { body: '{', pick: (body) => body['reason'] });
      await s.call('DELETE', one, { body: { kind: 'ConfigMap', apiVersion: 'v1' } });
      await s.call('DELETE', one, options({ gracePeriodSeconds: 'x' }));
      await s.call('DELETE', one, options({ dryRun: ['Some'] }));
    },
    'finalizers hold an object that is marked': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.expect(201, 'POST', s.path('configmaps'), {
        body: configMap('a', {}, { finalizers: ['example.com/a', 'example.com/b'] }),
      });
      const marked = await s.expect(200, 'DELETE', one);
      assert.equal(at(marked, 'metadata.deletionGracePeriodSeconds'), 0);
      const again = await s.expect(200, 'DELETE', one);
      assert.equal(at(again, 'metadata.deletionTimestamp'), at(marked, 'metadata.deletionTimestamp'));
      await s.patch(422, 'merge', one, {
        metadata: { finalizers: ['example.com/a', 'example.com/b', 'example.com/c'] },
      });
      await s.patch(200, 'merge', one, { metadata: { finalizers: ['example.com/b'] }, data: { x: 'y' } });
      await s.expect(409, 'POST', s.path('configmaps'), { body: configMap('a') });
      await s.patch(200, 'merge', one, {
        metadata: { deletionTimestamp: null, finalizers: ['example.com/b'] },
      });
      await s.patch(200, 'merge', one, { metadata: { finalizers: [] } });
      await s.expect(404, 'GET', one);
      await s.expect(422, 'POST', s.path('configmaps'), {
        body: configMap('b', {}, { finalizers: ['not qualified'] }),
      });
      await s.call('POST', s.path('configmaps'), { body: configMap('b', {}, { finalizers: ['plain'] }) });
    },
    'a pod has a grace period': async (s) => {
      await s.hasDefaultAccount();
      const pods = s.path('pods');
      await s.expect(201, 'POST', pods, {
        body: pod('p', {}, { finalizers: ['example.com/hold'] }),
        pick: (body) => at(body, 'spec.terminationGracePeriodSeconds'),
      });
      // Not on a node yet: it goes at once, but for its finalizer.
      await s.expect(200, 'DELETE', `${pods}/p`, { pick: (body) => body['metadata'] });
      await s.patch(
        200,
        'merge',
        `${pods}/p`,
        { metadata: { finalizers: null } },
        { pick: (body) => body['metadata'] },
      );
      await s.expect(404, 'GET', `${pods}/p`);
      await s.expect(201, 'POST', pods, {
        body: pod('q', { nodeName: `${s.id}-node` }),
        pick: (body) => at(body, 'spec.nodeName'),
      });
      const marked = await s.expect(200, 'DELETE', `${pods}/q`, { pick: (body) => body['metadata'] });
      assert.equal(at(marked, 'metadata.deletionGracePeriodSeconds'), 30);
      const shorter = await s.expect(200, 'DELETE', `${pods}/q?gracePeriodSeconds=5`, {
        pick: (body) => body['metadata'],
      });
      assert.equal(at(shorter, 'metadata.deletionGracePeriodSeconds'), 5);
      const longer = await s.expect(200, 'DELETE', `${pods}/q?gracePeriodSeconds=20`, {
        pick: (body) => body['metadata'],
      });
      assert.equal(at(longer, 'metadata.deletionGracePeriodSeconds'), 5);
      await s.expect(200, 'DELETE', `${pods}/q`, {
        ...options({ gracePeriodSeconds: 0 }),
        pick: (body) => body['metadata'],
      });
      await s.expect(404, 'GET', `${pods}/q`);
    },
    'a collection': async (s) => {
      const path = s.path('leases', 'coordination.k8s.io/v1');
      for (const [name, labels] of [
        ['a', { on: 'yes' }],
        ['b', { on: 'yes' }],
        ['c', {}],
      ] as const) {
        await s.expect(201, 'POST', path, { body: { metadata: { name, labels } } });
      }
      await s.expect(200, 'DELETE', `${path}?labelSelector=on&dryRun=All`, {
        pick: (body) => [body['kind'], names(body)],
      });
      await s.expect(200, 'DELETE', `${path}?labelSelector=on`);
      assert.deepEqual(names(await s.expect(200, 'GET', path)), ['c']);
      await s.expect(200, 'DELETE', `${path}?fieldSelector=metadata.name%3Dnone`);
      await s.expect(200, 'DELETE', path, options({}));
      assert.deepEqual(names(await s.expect(200, 'GET', path)), []);
    },
    'Background: dependents go after their owner': async (s) => {
      const owner = await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('owner') });
      await owned(s, 'dependent', owner);
      await collected(s, 'dependent', () =>
        s.expect(
          200,
          'DELETE',
          `${s.path('configmaps')}/owner`,
          options({ propagationPolicy: 'Background' }),
        ),
      );
    },
    'Foreground: the owner waits for the dependents that block it': async (s) => {
      const owner = await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('owner') });
      await owned(s, 'dependent', owner, true);
      await s.patch(200, 'merge', `${s.path('configmaps')}/dependent`, {
        metadata: { finalizers: ['example.com/hold'] },
      });
      const marked = await s.expect(
        200,
        'DELETE',
        `${s.path('configmaps')}/owner`,
        options({ propagationPolicy: 'Foreground' }),
      );
      assert.deepEqual(at(marked, 'metadata.finalizers'), ['foregroundDeletion']);
      await s.until(
        'the dependent is marked',
        `${s.path('configmaps')}?fieldSelector=metadata.name%3Ddependent`,
        (event) => at(event, 'object.metadata.deletionTimestamp') !== undefined,
      );
      await s.expect(200, 'GET', `${s.path('configmaps')}/owner`);
      await collected(s, 'owner', () =>
        s.patch(200, 'merge', `${s.path('configmaps')}/dependent`, { metadata: { finalizers: null } }),
      );
    },
    'Orphan: dependents lose their owner and stay': async (s) => {
      const owner = await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('owner') });
      await owned(s, 'dependent', owner);
      const marked = await s.expect(
        200,
        'DELETE',
        `${s.path('configmaps')}/owner`,
        options({ propagationPolicy: 'Orphan' }),
      );
      assert.deepEqual(at(marked, 'metadata.finalizers'), ['orphan']);
      await s.until(
        'the dependent is orphaned',
        `${s.path('configmaps')}?fieldSelector=metadata.name%3Ddependent`,
        (event) => at(event, 'object.metadata.ownerReferences') === undefined,
      );
    },
    'an object whose owner never was is collected': async (s) => {
      const owner = { metadata: { name: 'never', uid: '11111111-1111-1111-1111-111111111111' } };
      await collected(s, 'lost', () => owned(s, 'lost', owner));
    },
    'one of two owners is enough to stay': async (s) => {
      const path = s.path('configmaps');
      const [first, second] = [
        await s.expect(201, 'POST', path, { body: configMap('first') }),
        await s.expect(201, 'POST', path, { body: configMap('second') }),
      ];
      const reference = (owner: Json): Json => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: at(owner, 'metadata.name'),
        uid: at(owner, 'metadata.uid'),
      });
      await s.expect(201, 'POST', path, {
        body: configMap('dependent', {}, { ownerReferences: [reference(first), reference(second)] }),
      });
      await s.expect(200, 'DELETE', `${path}/first`);
      await s.until(
        'one reference is gone',
        `${path}?fieldSelector=metadata.name%3Ddependent`,
        (event) => (at(event, 'object.metadata.ownerReferences') as unknown[]).length === 1,
      );
      await collected(s, 'dependent', () => s.expect(200, 'DELETE', `${path}/second`));
    },
    'owner references must be well formed': async (s) => {
      const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' };
      for (const ownerReferences of [
        [{}],
        [{ ...reference, apiVersion: 'a/b/c' }],
        [
          { ...reference, controller: true },
          { ...reference, uid: 'y', controller: true },
        ],
        [{ ...reference, kind: 'Event' }],
        [{ ...reference, uid: '' }],
      ]) {
        await s.call('POST', s.path('configmaps'), { body: configMap('a', {}, { ownerReferences }) });
      }
    },
    'a Deployment takes its ReplicaSets with it': async (s) => {
      const deployments = s.path('deployments', 'apps/v1');
      await s.expect(201, 'POST', deployments, { body: deployment('d', { replicas: 0 }) });
      const sets = s.path('replicasets', 'apps/v1');
      await s.until('its ReplicaSet', sets, (event) => event['type'] === 'ADDED');
      await s.untilGone('the ReplicaSet', sets, () => s.expect(200, 'DELETE', `${deployments}/d`));
    },
  },
};
