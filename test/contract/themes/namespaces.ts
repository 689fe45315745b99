import assert from 'node:assert/strict';
import { at } from '../json.ts';
import { configMap } from '../objects.ts';
import type { Theme } from '../scenario.ts';

export const namespaces: Theme = {
  name: 'namespaces',
  scenarios: {
    'a namespace is given a label, a phase, an account and the trust bundle': async (s) => {
      await s.expect(200, 'GET', `/api/v1/namespaces/${s.namespace}`);
      await s.hasDefaultAccount();
      await s.hasTrustBundle();
      await s.expect(200, 'GET', `${s.path('configmaps')}/kube-root-ca.crt`, {
        pick: ({ data, ...body }) => [body, typeof at(data, 'ca.crt')],
      });
    },
    'a namespace takes everything in it with it': async (s) => {
      const name = `${s.id}-going`;
      await s.makeNamespace(name);
      const inside = `/api/v1/namespaces/${name}/configmaps`;
      await s.expect(201, 'POST', inside, {
        body: configMap('held', {}, { finalizers: ['example.com/hold'] }),
      });
      const one = `/api/v1/namespaces/${name}`;
      const deleted = await s.expect(200, 'DELETE', one);
      assert.equal(at(deleted, 'status.phase'), 'Terminating');
      await s.refuse(
        403,
        `configmaps "b" is forbidden: unable to create new content in namespace ${name} because it is being terminated`,
        'POST',
        inside,
        { body: configMap('b') },
      );
      await s.until(
        'what is inside is marked',
        inside,
        (event) =>
          at(event, 'object.metadata.deletionTimestamp') !== undefined &&
          at(event, 'object.metadata.name') === 'held',
      );
      const still = await s.expect(200, 'GET', one, { pick: (body) => at(body, 'status.phase') });
      assert.equal(at(still, 'status.phase'), 'Terminating');
      await s.call('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
      await s.untilGone(name, `/api/v1/namespaces?fieldSelector=metadata.name%3D${name}`, () =>
        s.patch(200, 'merge', `${inside}/held`, { metadata: { finalizers: null } }),
      );
      await s.expect(404, 'GET', one);
    },
    'the cluster keeps its own namespaces': async (s) => {
      for (const name of ['default', 'kube-system', 'kube-public']) {
        await s.expect(403, 'DELETE', `/api/v1/namespaces/${name}`);
      }
      await s.expect(405, 'DELETE', `/api/v1/namespaces?labelSelector=${s.id}`);
      await s.expect(409, 'POST', '/api/v1/namespaces', { body: { metadata: { name: 'default' } } });
      await s.expect(422, 'POST', '/api/v1/namespaces', { body: { metadata: { name: 'a.b' } } });
      await s.expect(201, 'POST', '/api/v1/namespaces?dryRun=All', {
        body: { metadata: { name: `${s.id}-x`, labels: { 'kubernetes.io/metadata.name': 'other' } } },
      });
    },
  },
};
