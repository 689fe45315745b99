import assert from 'node:assert/strict';
import type { Answer } from '../client.ts';
import { at, type Json, names, stringAt } from '../json.ts';
import { configMap } from '../objects.ts';
import type { Scenario, Theme } from '../scenario.ts';

const RBAC = 'rbac.authorization.k8s.io/v1';
/** What whoever is authenticated may ask about himself. */
const EVERYBODYS: ReadonlySet<string> = new Set(['selfsubjectaccessreviews', 'selfsubjectreviews']);

/** A token of a ServiceAccount with a role of these rules in the scenario's namespace. */
async function robot(s: Scenario, rules: Json[], name = 'robot'): Promise<string> {
  await s.expect(201, 'POST', s.path('serviceaccounts'), { body: { metadata: { name } }, record: false });
  await s.expect(201, 'POST', s.path('roles', RBAC), { body: { metadata: { name }, rules } });
  await s.expect(201, 'POST', s.path('rolebindings', RBAC), {
    body: binding(s, name, { kind: 'Role', name }, name),
  });
  const body = await s.expect(201, 'POST', `${s.path('serviceaccounts')}/${name}/token`, {
    body: {},
    record: false,
  });
  const token = stringAt(body, 'status.token');
  await known(s, token);
  return token;
}

/** An authorizer learns of a role a moment after it was written. */
async function known(s: Scenario, token: string): Promise<void> {
  const ask = (): Promise<Answer> =>
    s.client.call('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
      token,
      body: { spec: { namespace: s.namespace } },
    });
  await s.poll('the role to take effect', ask, ({ body }) => {
    const rules = at(body, 'status.resourceRules');
    return Array.isArray(rules) && rules.some((rule) => !EVERYBODYS.has(String(at(rule, 'resources.0'))));
  });
}

function binding(s: Scenario, name: string, role: Json, serviceAccount: string): Json {
  return {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...role },
    subjects: [{ kind: 'ServiceAccount', name: serviceAccount, namespace: s.namespace }],
  };
}

export const access: Theme = {
  name: 'access',
  scenarios: {
    'a role allows its verbs and nothing else': async (s) => {
      const token = await robot(s, [
        { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'create'] },
        { apiGroups: [''], resources: ['secrets'], resourceNames: ['one'], verbs: ['get', 'watch', 'list'] },
        { apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['*'] },
      ]);
      await s.expect(201, 'POST', s.path('configmaps'), { token, body: configMap('a') });
      assert.deepEqual(
        names(
          await s.expect(200, 'GET', `${s.path('configmaps')}?fieldSelector=metadata.name%3Da`, { token }),
        ),
        ['a'],
      );
      await s.expect(403, 'DELETE', `${s.path('configmaps')}/a`, { token });
      await s.expect(403, 'PUT', `${s.path('configmaps')}/a`, { token, body: configMap('a') });
      await s.expect(403, 'PATCH', `${s.path('configmaps')}/a`, {
        token,
        body: {},
        headers: { 'content-type': 'application/merge-patch+json' },
      });
      await s.expect(403, 'DELETE', s.path('configmaps'), { token });
      await s.expect(403, 'GET', `${s.path('configmaps')}?watch=1`, { token });
      await s.expect(403, 'GET', '/api/v1/configmaps', { token });
      await s.expect(403, 'GET', '/api/v1/namespaces/default/configmaps', { token });
      await s.expect(404, 'GET', `${s.path('secrets')}/one`, { token });
      await s.expect(403, 'GET', `${s.path('secrets')}/two`, { token });
      await s.expect(403, 'GET', s.path('secrets'), { token });
      await s.expect(200, 'GET', `${s.path('secrets')}?fieldSelector=metadata.name%3Done`, { token });
      await s.expect(404, 'GET', `${s.path('deployments', 'apps/v1')}/none/scale`, { token });
      await s.expect(403, 'GET', `${s.path('deployments', 'apps/v1')}/none`, { token });
      await s.expect(403, 'GET', s.path('widgets', 'none.example.com/v1'), { token });
      await s.expect(403, 'GET', '/apis/none.example.com/v1/widgets', { token });
    },
    'access reviews': async (s) => {
      const token = await robot(s, [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }]);
      const attributes = (verb: string, resource = 'configmaps'): Json => ({
        namespace: s.namespace,
        verb,
        group: '',
        resource,
      });
      const user = `system:serviceaccount:${s.namespace}:robot`;
      const groups = [
        'system:serviceaccounts',
        `system:serviceaccounts:${s.namespace}`,
        'system:authenticated',
      ];
      for (const verb of ['get', 'delete', '*']) {
        await s.expect(201, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
          token,
          body: { spec: { resourceAttributes: attributes(verb) } },
        });
        await s.expect(201, 'POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
          body: { spec: { user, groups, resourceAttributes: attributes(verb) } },
        });
        await s.expect(201, 'POST', s.path('localsubjectaccessreviews', 'authorization.k8s.io/v1'), {
          body: {
            metadata: { namespace: s.namespace },
            spec: { user, groups, resourceAttributes: attributes(verb) },
          },
        });
      }
      await s.expect(201, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        token,
        body: { spec: { nonResourceAttributes: { path: '/version', verb: 'get' } } },
        // Several roles allow it; which of them is named is chance.
        pick: (body) => at(body, 'status.allowed'),
      });
      await s.expect(201, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        token,
        body: { spec: { nonResourceAttributes: { path: '/secret', verb: 'get' } } },
      });
      await s.call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        token,
        body: { spec: {} },
      });
      await s.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        body: { spec: { resourceAttributes: attributes('get') } },
      });
      await s.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        body: {
          spec: {
            user,
            resourceAttributes: attributes('get'),
            nonResourceAttributes: { path: '/', verb: 'get' },
          },
        },
      });
      await s.call('POST', s.path('localsubjectaccessreviews', 'authorization.k8s.io/v1'), {
        body: { spec: { user, resourceAttributes: { ...attributes('get'), namespace: 'other' } } },
      });
      const rules = await s.expect(201, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
        token,
        body: { spec: { namespace: s.namespace } },
        record: false,
      });
      assert.ok(
        (at(rules, 'status.resourceRules') as Json[]).some(
          (rule) => at(rule, 'resources.0') === 'configmaps',
        ),
      );
    },
    'nobody gives what he does not have': async (s) => {
      const token = await robot(s, [
        { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] },
        {
          apiGroups: ['rbac.authorization.k8s.io'],
          resources: ['roles', 'rolebindings'],
          verbs: ['create', 'update', 'patch', 'get'],
        },
      ]);
      const role = (name: string, rules: Json[]): { token: string; body: Json } => ({
        token,
        body: { metadata: { name }, rules },
      });
      await s.expect(
        201,
        'POST',
        s.path('roles', RBAC),
        role('same', [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }]),
      );
      await s.expect(
        403,
        'POST',
        s.path('roles', RBAC),
        role('more', [{ apiGroups: [''], resources: ['configmaps', 'secrets'], verbs: ['get', 'delete'] }]),
      );
      await s.expect(
        403,
        'POST',
        s.path('roles', RBAC),
        role('all', [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]),
      );
      await s.patch(
        403,
        'merge',
        `${s.path('roles', RBAC)}/robot`,
        { rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }] },
        { token },
      );
      await s.expect(201, 'POST', s.path('rolebindings', RBAC), {
        token,
        body: binding(s, 'same', { kind: 'Role', name: 'same' }, 'robot'),
      });
      await s.expect(201, 'POST', s.path('roles', RBAC), {
        body: {
          metadata: { name: 'strong' },
          rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['*'] }],
        },
      });
      await s.expect(403, 'POST', s.path('rolebindings', RBAC), {
        token,
        body: binding(s, 'strong', { kind: 'Role', name: 'strong' }, 'robot'),
      });
      await s.expect(403, 'POST', s.path('rolebindings', RBAC), {
        token,
        body: binding(s, 'admin', { kind: 'ClusterRole', name: 'cluster-admin' }, 'robot'),
      });
      await s.call('POST', s.path('rolebindings', RBAC), {
        token,
        body: binding(s, 'none', { kind: 'Role', name: 'none' }, 'robot'),
      });
      await s.expect(201, 'POST', s.path('rolebindings', RBAC), {
        body: binding(s, 'fixed', { kind: 'Role', name: 'same' }, 'robot'),
      });
      await s.patch(422, 'merge', `${s.path('rolebindings', RBAC)}/fixed`, { roleRef: { name: 'other' } });
    },
    'escalate and bind are verbs of their own': async (s) => {
      const token = await robot(s, [
        { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['create', 'escalate'] },
        { apiGroups: ['rbac.authorization.k8s.io'], resources: ['rolebindings'], verbs: ['create'] },
        {
          apiGroups: ['rbac.authorization.k8s.io'],
          resources: ['clusterroles'],
          resourceNames: ['view'],
          verbs: ['bind'],
        },
      ]);
      await s.expect(201, 'POST', s.path('roles', RBAC), {
        token,
        body: {
          metadata: { name: 'strong' },
          rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['*'] }],
        },
      });
      await s.expect(201, 'POST', s.path('rolebindings', RBAC), {
        token,
        body: binding(s, 'view', { kind: 'ClusterRole', name: 'view' }, 'robot'),
      });
      await s.expect(403, 'POST', s.path('rolebindings', RBAC), {
        token,
        body: binding(s, 'edit', { kind: 'ClusterRole', name: 'edit' }, 'robot'),
        pick: (body) => [body['reason'], body['details']],
      });
    },
    'cluster roles reach everywhere, and can be put together of others': async (s) => {
      const name = `${s.id}-reader`;
      const roles = `/apis/${RBAC}/clusterroles`;
      await s.expect(201, 'POST', roles, {
        body: {
          metadata: { name, labels: { [`${s.id}/part`]: 'yes' } },
          rules: [
            { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
            { nonResourceURLs: ['/metrics'], verbs: ['get'] },
          ],
        },
      });
      s.after(() => s.client.call('DELETE', `${roles}/${name}`));
      await s.expect(201, 'POST', roles, {
        body: {
          metadata: { name: `${name}-whole` },
          aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`${s.id}/part`]: 'yes' } }] },
        },
      });
      s.after(() => s.client.call('DELETE', `${roles}/${name}-whole`));
      const whole = await s.until(
        'it is put together',
        `${roles}?fieldSelector=metadata.name%3D${name}-whole`,
        (event) =>
          Array.isArray(at(event, 'object.rules')) && (at(event, 'object.rules') as unknown[]).length > 0,
      );
      assert.deepEqual(at(whole, 'object.rules.0.resources'), ['configmaps']);
      const token = await robot(s, [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }]);
      await s.expect(403, 'GET', '/api/v1/namespaces/default/configmaps/kube-root-ca.crt', { token });
      await s.expect(201, 'POST', `/apis/${RBAC}/clusterrolebindings`, {
        body: binding(s, name, { kind: 'ClusterRole', name }, 'robot'),
      });
      s.after(() => s.client.call('DELETE', `/apis/${RBAC}/clusterrolebindings/${name}`));
      await s.poll(
        'the binding to take effect',
        () => s.client.call('GET', '/api/v1/namespaces/default/configmaps/kube-root-ca.crt', { token }),
        ({ code }) => code === 200,
      );
      await s.expect(200, 'GET', '/api/v1/namespaces/default/configmaps/kube-root-ca.crt', {
        token,
        pick: (body) => body['kind'],
      });
      await s.expect(403, 'GET', '/api/v1/configmaps', { token });
    },
    impersonation: async (s) => {
      const token = await robot(s, [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }]);
      const as = (user: string, more: Record<string, string> = {}): { headers: Record<string, string> } => ({
        headers: { 'impersonate-user': user, ...more },
      });
      await s.expect(
        200,
        'GET',
        `${s.path('configmaps')}?fieldSelector=metadata.name%3Dnone`,
        as(`system:serviceaccount:${s.namespace}:robot`),
      );
      await s.expect(403, 'GET', s.path('secrets'), as(`system:serviceaccount:${s.namespace}:robot`));
      await s.expect(201, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
        ...as('jane', { 'impersonate-group': 'devs' }),
        body: {},
      });
      await s.expect(403, 'GET', s.path('configmaps'), { ...as('jane'), token });
      await s.expect(403, 'GET', s.path('configmaps'), as('jane'));
    },
  },
};
