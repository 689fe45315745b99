import assert from 'node:assert/strict';
import { at, type Json, stringAt } from '../json.ts';
import { endpointSlice, service } from '../objects.ts';
import type { Theme } from '../scenario.ts';

/** What holds for one kind alone when it is written. */
export const singleKinds: Theme = {
  name: 'single-kinds',
  scenarios: {
    'a headless Service without a selector is of both families, and keeps what its first form had': async (
      s,
    ) => {
      const path = s.path('services');
      const headless = (name: string, spec: Json = {}): Json => service(name, { clusterIP: 'None', ...spec });
      await s.expect(201, 'POST', path, { body: headless('free'), managedFields: true });
      const selector = { app: 'x' };
      await s.expect(422, 'PUT', `${path}/free`, { body: headless('free', { selector }) });
      await s.patch(422, 'merge', `${path}/free`, { spec: { selector } });
      await s.expect(201, 'POST', path, { body: headless('bound', { selector }) });
      await s.expect(200, 'PUT', `${path}/bound`, { body: headless('bound') });
      await s.expect(201, 'POST', path, { body: headless('one', { ipFamilyPolicy: 'SingleStack' }) });
      for (const wrong of [{ ipFamilies: ['IPv6'] }, { ipFamilyPolicy: 'RequireDualStack' }]) {
        await s.expect(422, 'POST', path, { body: service('wrong', { selector, ...wrong }) });
      }
    },
    'a Service loses what only went with what it no longer has': async (s) => {
      const path = s.path('services');
      const body = service('s', { externalIPs: ['198.18.0.1'], sessionAffinity: 'ClientIP' });
      await s.expect(201, 'POST', path, { body });
      await s.patch(200, 'merge', `${path}/s`, { spec: { externalIPs: null } });
      await s.patch(200, 'merge', `${path}/s`, { spec: { sessionAffinity: 'None' } });
    },
    'Services are given addresses and ports': async (s) => {
      const path = s.path('services');
      const first = await s.expect(201, 'POST', path, { body: service('a', { type: 'NodePort' }) });
      assert.ok(Number(at(first, 'spec.ports.0.nodePort')) >= 30_000);
      await s.refuse(
        422,
        /^Service "b" is invalid: spec.clusterIPs: Invalid value: \["10\.[\d.]+"\]: failed to allocate IP 10\.[\d.]+: provided IP is already allocated$/,
        'POST',
        path,
        { body: service('b', { clusterIP: at(first, 'spec.clusterIP') }) },
      );
      await s.expect(422, 'POST', path, {
        body: service('c', {
          type: 'NodePort',
          ports: [{ port: 80, nodePort: at(first, 'spec.ports.0.nodePort') }],
        }),
        record: false,
      });
      await s.expect(201, 'POST', path, {
        body: service('headless', { clusterIP: 'None', selector: { app: 'x' } }),
      });
      await s.expect(201, 'POST', path, {
        body: service('outside', { type: 'ExternalName', externalName: 'example.com' }),
      });
      await s.expect(201, 'POST', path, {
        body: service('lb', {
          type: 'LoadBalancer',
          ports: [
            { name: 'http', port: 80, targetPort: 'http' },
            { name: 'other', port: 81, appProtocol: 'kubernetes.io/h2c' },
          ],
        }),
        pick: (body) => ({ ...(body['spec'] as Json), status: undefined }),
      });
      await s.patch(
        422,
        'merge',
        `${path}/a`,
        { spec: { clusterIP: '10.96.255.7', clusterIPs: ['10.96.255.7'] } },
        { record: false },
      );
      await s.patch(200, 'merge', `${path}/a`, { spec: { type: 'ClusterIP' } });
      await s.patch(200, 'merge', `${path}/a`, {
        spec: { type: 'ExternalName', externalName: 'example.com' },
      });
      const updated = await s.expect(200, 'PUT', `${path}/headless`, {
        body: service('headless', { clusterIP: 'None', ports: [{ port: 81 }] }),
      });
      assert.equal(at(updated, 'spec.clusterIP'), 'None');
      const kept = await s.expect(200, 'PUT', `${path}/lb`, {
        body: service('lb', { type: 'ClusterIP' }),
        pick: (body) => body['spec'],
      });
      assert.match(stringAt(kept, 'spec.clusterIP'), /^10\./);
    },
    'some kinds are made by an update': async (s) => {
      const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l' } };
      await s.call('PUT', `${s.path('leases', 'coordination.k8s.io/v1')}/l`, { body: lease });
      await s.call('PUT', `${s.path('leases', 'coordination.k8s.io/v1')}/m`, {
        body: { ...lease, metadata: { name: 'm', resourceVersion: '5' } },
        pick: ({ code, reason }) => ({ code, reason }),
      });
      await s.call('PUT', `${s.path('endpoints')}/e`, {
        body: {
          metadata: { name: 'e' },
          subsets: [{ addresses: [{ ip: '198.18.0.1' }], ports: [{ port: 80 }] }],
        },
      });
      await s.call('PUT', `${s.path('services')}/s`, { body: service('s') });
      await s.call('PUT', `${s.path('endpointslices', 'discovery.k8s.io/v1')}/x`, {
        body: endpointSlice('x'),
      });
      await s.call('PUT', `${s.path('roles', 'rbac.authorization.k8s.io/v1')}/r`, {
        body: { metadata: { name: 'r' }, rules: [] },
      });
    },
    'an event has two faces': async (s) => {
      const involvedObject = { kind: 'ConfigMap', namespace: s.namespace, name: 'a', apiVersion: 'v1' };
      const time = '2026-01-01T00:00:00Z';
      await s.expect(201, 'POST', s.path('events'), {
        body: {
          metadata: { name: 'old' },
          involvedObject,
          reason: 'Tested',
          message: 'it was',
          type: 'Normal',
          source: { component: 'contract' },
          firstTimestamp: time,
          lastTimestamp: time,
          count: 1,
        },
      });
      await s.expect(200, 'GET', `${s.path('events', 'events.k8s.io/v1')}/old`);
      await s.expect(201, 'POST', s.path('events', 'events.k8s.io/v1'), {
        body: {
          metadata: { name: 'new' },
          regarding: involvedObject,
          eventTime: '2026-01-01T00:00:00.000000Z',
          reportingController: 'example.com/contract',
          reportingInstance: 'contract-1',
          action: 'Test',
          reason: 'Tested',
          type: 'Warning',
          note: 'it was',
        },
      });
      await s.expect(200, 'GET', `${s.path('events')}/new`);
      await s.patch(200, 'merge', `${s.path('events')}/old`, { count: 2, lastTimestamp: time });
      await s.expect(200, 'GET', `${s.path('events')}?fieldSelector=involvedObject.name%3Da,type%3DWarning`);
      await s.call('POST', s.path('events'), {
        body: {
          metadata: { name: 'elsewhere' },
          involvedObject: { ...involvedObject, namespace: 'default' },
        },
      });
      await s.call('POST', s.path('events', 'events.k8s.io/v1'), {
        body: { metadata: { name: 'bare' }, regarding: involvedObject },
      });
    },
    'a Lease is written by those who know its resourceVersion': async (s) => {
      const path = s.path('leases', 'coordination.k8s.io/v1');
      const spec = {
        holderIdentity: 'me',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-01T00:00:00.000000Z',
        renewTime: '2026-01-01T00:00:00.000001Z',
      };
      const made = await s.expect(201, 'POST', path, { body: { metadata: { name: 'l' }, spec } });
      await s.expect(422, 'PUT', `${path}/l`, {
        body: { metadata: { name: 'l' }, spec: { ...spec, holderIdentity: 'you' } },
      });
      const taken = await s.expect(200, 'PUT', `${path}/l`, {
        body: { ...made, spec: { ...spec, holderIdentity: 'you', leaseTransitions: 1 } },
      });
      await s.expect(409, 'PUT', `${path}/l`, { body: { ...made, spec } });
      assert.equal(at(taken, 'spec.holderIdentity'), 'you');
      await s.expect(422, 'POST', path, {
        body: { metadata: { name: 'm' }, spec: { leaseDurationSeconds: 0 } },
      });
      await s.expect(400, 'POST', path, {
        body: { metadata: { name: 'm' }, spec: { renewTime: 'yesterday' } },
      });
    },
  },
};
