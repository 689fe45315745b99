import assert from 'node:assert/strict';
import { at, type Json, stringAt } from '../json.ts';
import { configMap, deployment, endpointSlice, pod, service } from '../objects.ts';
import type { Theme } from '../scenario.ts';

export const writing: Theme = {
  name: 'writing',
  scenarios: {
    'create, read, update, delete': async (s) => {
      const path = s.path('configmaps');
      const made = await s.expect(201, 'POST', path, {
        body: configMap('a', { x: '1' }),
        managedFields: true,
      });
      await s.refuse(409, 'configmaps "a" already exists', 'POST', path, { body: configMap('a') });
      const updated = await s.expect(200, 'PUT', `${path}/a`, {
        body: { ...made, data: { x: '2' } },
        managedFields: true,
      });
      await s.refuse(
        409,
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
        'PUT',
        `${path}/a`,
        { body: { ...made, data: { x: '3' } } },
      );
      const same = await s.expect(200, 'PUT', `${path}/a`, { body: updated });
      assert.equal(at(same, 'metadata.resourceVersion'), at(updated, 'metadata.resourceVersion'));
      await s.expect(200, 'PUT', `${path}/a`, { body: configMap('a', { x: '4' }) });
      await s.expect(200, 'DELETE', `${path}/a`);
      await s.refuse(404, 'configmaps "a" not found', 'DELETE', `${path}/a`);
      await s.refuse(404, 'configmaps "a" not found', 'PUT', `${path}/a`, { body: configMap('a') });
    },
    'an update names the object of its URL': async (s) => {
      const path = s.path('configmaps');
      await s.expect(201, 'POST', path, { body: configMap('a') });
      await s.call('PUT', `${path}/a`, { body: configMap('b') });
      await s.call('PUT', `${path}/a`, { body: configMap('a', {}, { namespace: 'other' }) });
      await s.call('PUT', `${path}/a`, { body: { metadata: {} } });
      await s.call('PUT', `${path}/a`, {
        body: configMap('a', {}, { uid: '11111111-1111-1111-1111-111111111111' }),
      });
      await s.call('PUT', `${path}/a`, { body: configMap('a', {}, { resourceVersion: 'abc' }) });
      await s.call('PUT', `${path}/a`, { body: configMap('a', {}, { resourceVersion: '0' }) });
    },
    'what may be created': async (s) => {
      const path = s.path('configmaps');
      await s.call('POST', path, { body: configMap('a', {}, { namespace: 'other' }) });
      await s.call('POST', path, { body: configMap('a', {}, { resourceVersion: '5' }) });
      await s.call('POST', path, {
        body: configMap(
          'a',
          {},
          {
            uid: 'mine',
            creationTimestamp: '2020-01-01T00:00:00Z',
            generation: 7,
            deletionTimestamp: '2020-01-01T00:00:00Z',
            selfLink: '/x',
          },
        ),
      });
      await s.call('POST', path, { body: configMap('A_b') });
      await s.call('POST', path, { body: { metadata: {} } });
      await s.call('POST', path, { body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } } });
      await s.call('POST', path, { body: { apiVersion: 'v2', kind: 'ConfigMap', metadata: { name: 'a' } } });
      await s.call('POST', path, { body: { apiVersion: 'v1', kind: 'Nothing', metadata: { name: 'a' } } });
      await s.call('POST', path, {
        body: { apiVersion: 'apps/v1', kind: 'ConfigMap', metadata: { name: 'a' } },
      });
      await s.call('POST', path, { body: [] });
      await s.call('POST', path, { body: '"x"' });
      await s.call('POST', path, { body: 'null' });
      await s.call('POST', path);
      await s.call('POST', '/api/v1/namespaces/none-such/configmaps', { body: configMap('a') });
    },
    'bodies that can not be read': async (s) => {
      const path = s.path('configmaps');
      const broken = await s.call('POST', path, { body: '{"kind":', record: false });
      assert.equal(broken.code, 400);
      await s.expect(415, 'POST', path, { body: 'x', headers: { 'content-type': 'text/plain' } });
      await s.expect(415, 'PATCH', `${path}/kube-root-ca.crt`, {
        body: '{}',
        headers: { 'content-type': 'application/json' },
      });
      await s.expect(201, 'POST', path, {
        body: 'metadata: {name: yaml}\ndata: {x: "1"}\n',
        headers: { 'content-type': 'application/yaml' },
      });
      const large = await s.client.call('POST', path, {
        body: configMap('big', { x: 'y'.repeat(4 * 1024 * 1024) }),
      });
      assert.equal(large.code, 413);
      assert.equal(large.body['reason'], 'RequestEntityTooLarge');
      await s.expect(422, 'POST', path, { body: configMap('big', { x: 'y'.repeat(1024 * 1024 + 1) }) });
    },
    'unknown and doubled fields: Ignore, Warn, Strict': async (s) => {
      const path = s.path('configmaps');
      const body = (name: string): Json => ({
        ...configMap(name),
        bogus: 1,
        metadata: { name, nonsense: true },
      });
      await s.expect(201, 'POST', `${path}?fieldValidation=Ignore`, { body: body('ignored') });
      await s.expect(201, 'POST', `${path}?fieldValidation=Warn`, { body: body('warned') });
      await s.expect(201, 'POST', path, { body: body('default') });
      await s.expect(400, 'POST', `${path}?fieldValidation=Strict`, { body: body('strict') });
      await s.expect(422, 'POST', `${path}?fieldValidation=Foo`, { body: body('foo') });
      const doubled =
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"doubled"},"data":{"a":"1","a":"2"}}';
      await s.expect(400, 'POST', `${path}?fieldValidation=Strict`, { body: doubled });
      await s.expect(201, 'POST', path, { body: doubled });
      await s.call('PUT', `${path}/default?fieldValidation=Strict`, {
        body: { ...body('default'), more: {} },
      });
      await s.patch(422, 'merge', `${path}/default?fieldValidation=Strict`, { bogus: 1 });
      await s.patch(200, 'merge', `${path}/default`, { bogus: 1 });
      await s.patch(422, 'strategic', `${path}/default?fieldValidation=Strict`, { bogus: 1 });
      await s.patch(422, 'json', `${path}/default?fieldValidation=Strict`, [
        { op: 'add', path: '/bogus', value: 1 },
      ]);
      const deployments = s.path('deployments', 'apps/v1');
      const wrong = deployment('d', {
        unknown: 1,
        template: { spec: { containers: [{ name: 'c', image: 'x', imagee: 'y' }] } },
      });
      await s.call('POST', `${deployments}?fieldValidation=Strict`, { body: wrong });
    },
    'fields of a wrong type': async (s) => {
      await s.expect(400, 'POST', s.path('configmaps'), { body: configMap('a', { x: 1 as never }) });
      await s.expect(400, 'POST', s.path('configmaps'), { body: configMap('a', [] as never) });
      await s.expect(400, 'POST', s.path('configmaps'), { body: { metadata: 'a' } });
      await s.expect(400, 'POST', s.path('configmaps'), { body: configMap('a', {}, { labels: 'x' }) });
      await s.expect(400, 'POST', s.path('deployments', 'apps/v1'), {
        body: deployment('d', { replicas: '1' }),
      });
      await s.expect(400, 'POST', s.path('services'), { body: service('x', { ports: 'x' }) });
      await s.expect(400, 'POST', s.path('secrets'), {
        body: { metadata: { name: 'x' }, data: { a: '%%%' } },
      });
    },
    'objects that are not valid': async (s) => {
      await s.expect(422, 'POST', s.path('configmaps'), {
        body: configMap('a', { 'no spaces': 'x' }, { labels: { 'a b': 'c' }, annotations: { '': 'x' } }),
      });
      await s.expect(422, 'POST', s.path('deployments', 'apps/v1'), {
        body: deployment('d', { selector: { matchLabels: { app: 'other' } }, replicas: -1 }),
      });
      await s.expect(422, 'POST', s.path('deployments', 'apps/v1'), { body: { metadata: { name: 'd' } } });
      await s.expect(422, 'POST', s.path('services'), {
        body: service('x', { ports: [{ port: 0 }, { port: 70_000, protocol: 'X' }] }),
      });
      await s.expect(422, 'POST', s.path('endpointslices', 'discovery.k8s.io/v1'), {
        body: endpointSlice('e', ['nonsense']),
      });
      await s.expect(422, 'POST', s.path('endpointslices', 'discovery.k8s.io/v1'), {
        body: { ...endpointSlice('e'), addressType: 'X' },
      });
      await s.expect(422, 'POST', '/api/v1/namespaces', { body: { metadata: { name: 'Not_A_Name' } } });
      await s.expect(422, 'POST', s.path('roles', 'rbac.authorization.k8s.io/v1'), {
        body: { metadata: { name: 'r' }, rules: [{ verbs: [] }] },
      });
    },
    'what can not be changed': async (s) => {
      await s.expect(201, 'POST', s.path('configmaps'), {
        body: { ...configMap('fixed', { a: '1' }), immutable: true },
      });
      await s.patch(422, 'merge', `${s.path('configmaps')}/fixed`, { data: { a: '2' } });
      await s.patch(422, 'merge', `${s.path('configmaps')}/fixed`, { immutable: false });
      await s.patch(200, 'merge', `${s.path('configmaps')}/fixed`, { metadata: { labels: { x: 'y' } } });
      await s.expect(201, 'POST', s.path('secrets'), {
        body: { metadata: { name: 's' }, type: 'example.com/a' },
      });
      await s.patch(422, 'merge', `${s.path('secrets')}/s`, { type: 'example.com/b' });
      await s.expect(201, 'POST', s.path('deployments', 'apps/v1'), {
        body: deployment('d', { replicas: 0, paused: true }),
      });
      await s.patch(422, 'merge', `${s.path('deployments', 'apps/v1')}/d`, {
        spec: { selector: { matchLabels: { other: 'x' } } },
      });
      await s.expect(201, 'POST', s.path('endpointslices', 'discovery.k8s.io/v1'), {
        body: endpointSlice('e'),
      });
      await s.patch(422, 'merge', `${s.path('endpointslices', 'discovery.k8s.io/v1')}/e`, {
        addressType: 'IPv6',
      });
      await s.patch(400, 'merge', `${s.path('configmaps')}/fixed`, { metadata: { name: 'other' } });
      await s.patch(422, 'merge', `${s.path('configmaps')}/fixed`, { metadata: { uid: 'x' } });
      await s.patch(422, 'merge', `${s.path('configmaps')}/fixed`, {
        metadata: { deletionGracePeriodSeconds: 5 },
      });
      await s.patch(200, 'merge', `${s.path('configmaps')}/fixed`, {
        metadata: { creationTimestamp: '2020-01-01T00:00:00Z', generation: 9 },
      });
    },
    'a pod stays as it is but for few fields': async (s) => {
      await s.hasDefaultAccount();
      const pods = s.path('pods');
      await s.expect(201, 'POST', pods, { body: pod('p') });
      await s.patch(422, 'strategic', `${pods}/p`, {
        spec: { containers: [{ name: 'app', command: ['x'] }] },
      });
      await s.patch(200, 'strategic', `${pods}/p`, {
        spec: { containers: [{ name: 'app', image: 'contract.invalid/app:2' }], activeDeadlineSeconds: 5 },
      });
      await s.patch(422, 'merge', `${pods}/p`, { spec: { nodeName: 'somewhere' } });
      await s.patch(422, 'merge', `${pods}/p`, { spec: { restartPolicy: 'Never' } });
      await s.patch(200, 'merge', `${pods}/p`, { status: { phase: 'Running' } });
      await s.expect(201, 'POST', `${pods}/p/binding`, {
        body: { metadata: { name: 'p' }, target: { kind: 'Node', name: 'somewhere' } },
      });
      await s.expect(409, 'POST', `${pods}/p/binding`, {
        body: { metadata: { name: 'p' }, target: { kind: 'Node', name: 'elsewhere' } },
      });
      await s.expect(200, 'DELETE', `${pods}/p?gracePeriodSeconds=0`, { pick: (body) => body['kind'] });
    },
    'dryRun writes nothing': async (s) => {
      const path = s.path('configmaps');
      await s.expect(201, 'POST', `${path}?dryRun=All`, { body: configMap('dry') });
      await s.expect(404, 'GET', `${path}/dry`);
      const made = await s.expect(201, 'POST', path, { body: configMap('a', { x: '1' }) });
      const dry = await s.expect(200, 'PUT', `${path}/a?dryRun=All`, { body: configMap('a', { x: '2' }) });
      assert.equal(at(dry, 'metadata.resourceVersion'), at(made, 'metadata.resourceVersion'));
      await s.patch(200, 'merge', `${path}/a?dryRun=All`, { data: { x: '3' } });
      await s.expect(200, 'DELETE', `${path}/a?dryRun=All`);
      await s.expect(200, 'DELETE', `${path}/a`, {
        body: { kind: 'DeleteOptions', apiVersion: 'v1', dryRun: ['All'] },
      });
      assert.equal(at(await s.expect(200, 'GET', `${path}/a`), 'data.x'), '1');
      await s.expect(409, 'POST', `${path}?dryRun=All`, { body: configMap('a') });
      await s.expect(422, 'POST', `${path}?dryRun=Some`, { body: configMap('b') });
      await s.expect(422, 'DELETE', `${path}/a?dryRun=Some`);
      await s.expect(201, 'POST', `${s.path('services')}?dryRun=All`, { body: service('s') });
      await s.expect(201, 'POST', `${path}?dryRun=All`, {
        body: configMap('', {}, { name: undefined, generateName: 'generated-' }),
      });
    },
    generateName: async (s) => {
      const path = s.path('configmaps');
      const body = configMap('', {}, { name: undefined, generateName: 'generated-' });
      const first = await s.expect(201, 'POST', path, { body });
      const second = await s.expect(201, 'POST', path, { body });
      assert.match(stringAt(first, 'metadata.name'), /^generated-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
      assert.notEqual(at(first, 'metadata.name'), at(second, 'metadata.name'));
      await s.call('POST', path, { body: configMap('named', {}, { generateName: 'generated-' }) });
      await s.call('POST', path, {
        body: configMap('', {}, { name: undefined, generateName: 'Not_A_Name' }),
        pick: (answer) => answer['reason'],
      });
      const long = await s.call('POST', path, {
        body: configMap('', {}, { name: undefined, generateName: 'x'.repeat(300) }),
        record: false,
      });
      assert.equal(long.code, 422);
    },
    'the field manager is the one who names himself': async (s) => {
      const path = s.path('configmaps');
      await s.expect(201, 'POST', `${path}?fieldManager=me`, {
        body: configMap('a', { x: '1' }),
        managedFields: true,
      });
      await s.patch(
        200,
        'merge',
        `${path}/a?fieldManager=you`,
        { data: { y: '2' } },
        { managedFields: true },
      );
      await s.patch(
        200,
        'merge',
        `${path}/a?fieldManager=you`,
        { data: { x: '2' } },
        { managedFields: true },
      );
      await s.patch(
        200,
        'merge',
        `${path}/a?fieldManager=me`,
        { data: { y: null } },
        { managedFields: true },
      );
      await s.expect(422, 'POST', `${path}?fieldManager=${'x'.repeat(129)}`, { body: configMap('b') });
      await s.expect(422, 'POST', `${path}?fieldManager=%07`, {
        body: configMap('b'),
        pick: (body) => body['reason'],
      });
      await s.patch(200, 'merge', `${path}/a`, { metadata: { managedFields: [] } }, { managedFields: true });
      await s.patch(
        200,
        'json',
        `${path}/a`,
        [{ op: 'replace', path: '/metadata/managedFields', value: [{}] }],
        { managedFields: true },
      );
    },
    'lists that are empty are as if they were never set': async (s) => {
      const slices = s.path('endpointslices', 'discovery.k8s.io/v1');
      const slice = { ...endpointSlice('e'), endpoints: [], ports: [] };
      const made = await s.expect(201, 'POST', slices, { body: slice, managedFields: true });
      assert.deepEqual([made['endpoints'], made['ports']], [null, null]);
      await s.expect(201, 'POST', `${slices}?dryRun=All`, { body: { ...slice, metadata: { name: 'dry' } } });
      const same = await s.expect(200, 'PUT', `${slices}/e`, { body: { ...made, endpoints: [], ports: [] } });
      assert.equal(at(same, 'metadata.resourceVersion'), at(made, 'metadata.resourceVersion'));
      await s.expect(200, 'PUT', `${slices}/e`, {
        body: { ...made, endpoints: endpointSlice('e')['endpoints'] },
      });
      await s.patch(200, 'merge', `${slices}/e`, { endpoints: [] });
      await s.patch(
        201,
        'apply',
        `${slices}/f?fieldManager=me`,
        { ...slice, metadata: { name: 'f' } },
        {
          managedFields: true,
        },
      );
      const roles = s.path('roles', 'rbac.authorization.k8s.io/v1');
      await s.expect(201, 'POST', roles, { body: { metadata: { name: 'r' }, rules: [] } });
      await s.expect(201, 'POST', s.path('services'), {
        body: service('s', { externalIPs: [], selector: {} }),
      });
      await s.expect(201, 'POST', s.path('configmaps'), {
        body: configMap('c', {}, { labels: {}, annotations: {}, finalizers: [], ownerReferences: [] }),
      });
    },
  },
};
