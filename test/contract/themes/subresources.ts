import assert from 'node:assert/strict';
import { at } from '../json.ts';
import { configMap, deployment, service } from '../objects.ts';
import type { Theme } from '../scenario.ts';

export const subresources: Theme = {
  name: 'subresources',
  scenarios: {
    'status is written by its own path, and only there': async (s) => {
      const one = `${s.path('services')}/s`;
      const made = await s.expect(201, 'POST', s.path('services'), {
        body: {
          ...service('s', { selector: { app: 'none' } }),
          status: { loadBalancer: { ingress: [{ ip: '198.18.0.1' }] } },
        },
      });
      assert.deepEqual(at(made, 'status'), { loadBalancer: {} });
      await s.patch(200, 'merge', one, { status: { conditions: [] } });
      const condition = {
        type: 'Ready',
        status: 'True',
        reason: 'Test',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      };
      const patched = await s.patch(
        200,
        'merge',
        `${one}/status`,
        {
          metadata: { labels: { not: 'kept' } },
          spec: { sessionAffinity: 'ClientIP' },
          status: { conditions: [condition] },
        },
        { managedFields: true },
      );
      assert.equal(at(patched, 'status.conditions.0.type'), 'Ready');
      assert.equal(at(patched, 'spec.sessionAffinity'), 'None');
      await s.patch(200, 'strategic', `${one}/status`, {
        status: { conditions: [{ ...condition, type: 'Other' }] },
      });
      await s.expect(200, 'GET', `${one}/status`);
      await s.expect(200, 'PUT', `${one}/status`, {
        body: {
          ...patched,
          status: { conditions: [condition, { ...condition, type: 'More' }] },
          metadata: { name: 's' },
        },
      });
      await s.expect(409, 'PUT', `${one}/status`, { body: made });
      await s.expect(200, 'PUT', one, {
        body: { ...made, metadata: { name: 's' }, status: { conditions: [] } },
        pick: (body) => at(body, 'status.conditions'),
      });
      await s.patch(
        200,
        'apply',
        `${one}/status?fieldManager=me&force=true`,
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 's' },
          status: { conditions: [{ ...condition, status: 'False' }] },
        },
        { managedFields: true },
      );
      await s.call('PATCH', `${s.path('deployments', 'apps/v1')}/none/status?fieldManager=me`, {
        body: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'none' }, status: {} },
        headers: { 'content-type': 'application/apply-patch+yaml' },
        pick: ({ code }) => code,
      });
      await s.patch(404, 'merge', `${s.path('services')}/none/status`, {});
      await s.expect(405, 'POST', `${one}/status`, { body: made });
      await s.expect(405, 'DELETE', `${one}/status`);
      await s.call('GET', `${s.path('configmaps')}/kube-root-ca.crt/status`);
      await s.call('GET', `${one}/nothing`);
    },
    scale: async (s) => {
      const deployments = s.path('deployments', 'apps/v1');
      const one = `${deployments}/d/scale`;
      await s.expect(201, 'POST', deployments, { body: deployment('d', { replicas: 0, paused: true }) });
      const scale = await s.expect(200, 'GET', one);
      assert.deepEqual(at(scale, 'spec'), {});
      await s.expect(200, 'PUT', one, { body: { ...scale, metadata: { name: 'd' }, spec: { replicas: 2 } } });
      assert.equal(
        at(await s.expect(200, 'GET', `${deployments}/d`, { pick: (body) => body['spec'] }), 'spec.replicas'),
        2,
      );
      await s.patch(200, 'merge', one, { spec: { replicas: 0 } });
      await s.expect(409, 'PUT', one, { body: { ...scale, spec: { replicas: 5 } } });
      await s.patch(422, 'merge', one, { spec: { replicas: -1 } });
      await s.patch(422, 'merge', one, { spec: { replicas: 'x' } }, { pick: (body) => body['reason'] });
      await s.expect(400, 'PUT', one, { body: configMap('d') });
      await s.expect(404, 'GET', `${deployments}/none/scale`);
      await s.patch(404, 'merge', `${deployments}/none/scale`, {});
      await s.call('GET', `${deployments}/d`, { pick: (body) => at(body, 'metadata.generation') });
    },
    'a Deployment is given a generation and a status': async (s) => {
      const deployments = s.path('deployments', 'apps/v1');
      const made = await s.expect(201, 'POST', deployments, {
        body: { ...deployment('d', { replicas: 0 }), status: { replicas: 5 } },
      });
      assert.deepEqual([at(made, 'metadata.generation'), at(made, 'status')], [1, {}]);
      const observed = (generation: number) => (event: object) =>
        at(event, 'object.status.observedGeneration') === generation;
      await s.until('it is observed', deployments, observed(1));
      await s.patch(
        200,
        'merge',
        `${deployments}/d`,
        { metadata: { labels: { x: 'y' } } },
        { pick: (body) => at(body, 'metadata.generation') },
      );
      await s.patch(
        200,
        'merge',
        `${deployments}/d`,
        { spec: { minReadySeconds: 1 } },
        { pick: (body) => at(body, 'metadata.generation') },
      );
      const event = await s.until('it is observed again', deployments, observed(2));
      assert.equal(at(event, 'object.metadata.generation'), 2);
    },
  },
};
