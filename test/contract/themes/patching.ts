import assert from 'node:assert/strict';
import { at } from '../json.ts';
import { configMap, deployment, service } from '../objects.ts';
import type { Theme } from '../scenario.ts';

export const patching: Theme = {
  name: 'patching',
  scenarios: {
    'JSON patch (RFC 6902)': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.expect(201, 'POST', s.path('configmaps'), {
        body: configMap('a', { x: '1', 'a.b': '2' }, { labels: { l: '1' } }),
      });
      await s.patch(200, 'json', one, [
        { op: 'test', path: '/data/x', value: '1' },
        { op: 'replace', path: '/data/x', value: '2' },
      ]);
      await s.patch(200, 'json', one, [
        { op: 'add', path: '/metadata/annotations', value: { 'example.com/a': 'b' } },
      ]);
      await s.patch(200, 'json', one, [
        { op: 'replace', path: '/metadata/annotations/example.com~1a', value: 'c' },
      ]);
      await s.patch(200, 'json', one, [
        { op: 'move', from: '/data/a.b', path: '/data/moved' },
        { op: 'copy', from: '/data/moved', path: '/data/copied' },
      ]);
      await s.patch(200, 'json', one, [{ op: 'remove', path: '/data/copied' }]);
      for (const body of [
        [{ op: 'test', path: '/data/x', value: 'other' }],
        [{ op: 'remove', path: '/data/none' }],
        [{ op: 'replace', path: '/data/none', value: '1' }],
        [{ op: 'add', path: '/none/x', value: '1' }],
        [{ op: 'copy', from: '/data/none', path: '/data/y' }],
        [{ op: 'frobnicate', path: '/data/x' }],
        [{ op: 'add', path: 'data', value: '1' }],
        [{ op: 'add', path: '/data/y', value: 1 }],
        [{ op: 'test', path: '/metadata/resourceVersion', value: '1' }],
        { op: 'add' },
        'x',
        [],
      ]) {
        await s.call('PATCH', one, {
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json-patch+json' },
        });
      }
      await s.call('PATCH', `${s.path('configmaps')}/none`, {
        body: [],
        headers: { 'content-type': 'application/json-patch+json' },
      });
    },
    'merge patch (RFC 7386)': async (s) => {
      const one = `${s.path('configmaps')}/a`;
      await s.expect(201, 'POST', s.path('configmaps'), {
        body: configMap('a', { x: '1', y: '2' }, { labels: { l: '1' } }),
      });
      await s.patch(200, 'merge', one, { data: { x: null, z: '3' }, metadata: { labels: null } });
      await s.patch(200, 'merge', one, {});
      await s.patch(409, 'merge', one, { metadata: { resourceVersion: '1' }, data: { q: '1' } });
      for (const body of [
        [],
        'x',
        null,
        { data: 'x' },
        { metadata: null },
        { kind: 'Service' },
        { apiVersion: 'v2' },
        { data: { x: 1 } },
      ]) {
        await s.call('PATCH', one, {
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/merge-patch+json' },
        });
      }
      await s.call('PATCH', one, {
        body: '{',
        headers: { 'content-type': 'application/merge-patch+json' },
        pick: (body) => body['reason'],
      });
      await s.call('PATCH', `${s.path('configmaps')}/none`, {
        body: {},
        headers: { 'content-type': 'application/merge-patch+json' },
      });
    },
    'strategic merge patch': async (s) => {
      const deployments = s.path('deployments', 'apps/v1');
      const one = `${deployments}/d`;
      await s.expect(201, 'POST', deployments, { body: deployment('d', { replicas: 0, paused: true }) });
      const spec = (body: unknown): unknown => at(body, 'spec.template.spec');
      const patch = (podSpec: unknown): Promise<unknown> =>
        s.call('PATCH', one, {
          body: { spec: { template: { spec: podSpec } } },
          headers: { 'content-type': 'application/strategic-merge-patch+json' },
          pick: (body) => (body['kind'] === 'Status' ? body : spec(body)),
        });
      await patch({ containers: [{ name: 'side', image: 'b' }] });
      await patch({
        containers: [
          {
            name: 'side',
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '2' },
            ],
            ports: [{ containerPort: 80 }],
          },
        ],
      });
      await patch({ containers: [{ name: 'side', env: [{ name: 'A', $patch: 'delete' }] }] });
      await patch({
        containers: [{ name: 'side', ports: [{ containerPort: 80, name: 'web' }, { containerPort: 81 }] }],
      });
      await patch({ '$setElementOrder/containers': [{ name: 'side' }, { name: 'app' }] });
      await patch({ containers: [{ name: 'side', $patch: 'replace', image: 'c' }] });
      await patch({ containers: [{ $patch: 'replace' }, { name: 'only', image: 'd' }] });
      await patch({
        $retainKeys: ['containers', 'restartPolicy'],
        containers: [{ name: 'only', image: 'e' }],
      });
      await patch({ volumes: [{ name: 'v', emptyDir: {} }] });
      await patch({ volumes: [{ name: 'v', $retainKeys: ['name', 'configMap'], configMap: { name: 'x' } }] });
      await patch({ volumes: null });
      await patch({ containers: 'x' });
      await patch({ containers: [{ image: 'x' }] });
      await s.call('PATCH', one, {
        body: { spec: { replicas: 'x' } },
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
      await s.call('PATCH', one, {
        body: { spec: 'x' },
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
      await s.call('PATCH', one, {
        body: [],
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
      await s.call('PATCH', one, {
        body: { $patch: 'nonsense' },
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      });
    },
    'strategic merge of finalizers, ports and plain lists': async (s) => {
      await s.expect(201, 'POST', s.path('services'), {
        body: {
          ...service('s', { ports: [{ name: 'a', port: 80 }] }),
          metadata: { name: 's', finalizers: ['example.com/a'] },
        },
      });
      const one = `${s.path('services')}/s`;
      await s.patch(200, 'strategic', one, { metadata: { finalizers: ['example.com/b'] } });
      await s.patch(200, 'strategic', one, {
        metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/a'] },
      });
      await s.patch(200, 'strategic', one, {
        spec: {
          ports: [
            { port: 80, name: 'renamed' },
            { port: 81, name: 'b' },
          ],
        },
      });
      await s.patch(200, 'strategic', one, { spec: { ports: [{ port: 80, $patch: 'delete' }] } });
      await s.patch(200, 'strategic', one, { spec: { externalIPs: ['198.18.0.1'] } });
      await s.patch(200, 'strategic', one, { spec: { externalIPs: ['198.18.0.2'] } });
      await s.patch(200, 'strategic', one, { spec: { selector: { app: 'a', tier: 'b' } } });
      await s.patch(200, 'strategic', one, { spec: { selector: { $patch: 'replace', only: 'x' } } });
      const gone = await s.patch(200, 'strategic', one, {
        metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/b'] },
      });
      assert.equal(at(gone, 'metadata.finalizers'), undefined);
    },
    'a patch that changes nothing writes nothing': async (s) => {
      const made = await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('a', { x: '1' }) });
      for (const type of ['merge', 'strategic'] as const) {
        const same = await s.patch(200, type, `${s.path('configmaps')}/a`, { data: { x: '1' } });
        assert.equal(at(same, 'metadata.resourceVersion'), at(made, 'metadata.resourceVersion'));
      }
    },
  },
};
