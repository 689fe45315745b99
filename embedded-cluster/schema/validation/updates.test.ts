import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredObject } from '../../types.ts';
import { builtinTypes, mergePatch } from '../index.ts';

const types = builtinTypes();

/** What is wrong with `object` after `patch`. */
function refusals(object: StoredObject, patch: unknown): string[] {
  const type = types.find(({ resource }) => resource.kind === object.kind);
  assert.ok(type, object.kind);
  const old = structuredClone(object);
  type.schema.prune(old);
  type.schema.applyDefaults(old);
  const updated = mergePatch(old, patch);
  type.schema.prune(updated);
  type.schema.applyDefaults(updated);
  return type.schema.validate(updated, old).map(({ field, message }) => `${field}: ${message}`);
}

function object(apiVersion: string, kind: string, fields: Record<string, unknown>): StoredObject {
  return {
    apiVersion,
    kind,
    ...fields,
    metadata: { name: 'x', namespace: 'n', uid: 'u', ...(fields['metadata'] as object | undefined) },
  };
}

const template = {
  metadata: { labels: { a: 'b' } },
  spec: { containers: [{ name: 'c', image: 'i' }] },
};

/** Expected texts are what a real server answered. */
test('a Deployment keeps its selector', () => {
  const deployment = object('apps/v1', 'Deployment', {
    spec: { selector: { matchLabels: { a: 'b' } }, template },
  });
  assert.deepEqual(refusals(deployment, { spec: { replicas: 3 } }), []);
  assert.deepEqual(
    refusals(deployment, {
      spec: { selector: { matchLabels: { a: 'z' } }, template: { metadata: { labels: { a: 'z' } } } },
    }),
    ['spec.selector: Invalid value: {"matchLabels":{"a":"z"}}: field is immutable'],
  );
});

test('a pod keeps all but images, deadline and tolerations; it is bound by its binding only', () => {
  const pod = object('v1', 'Pod', { spec: template.spec });
  assert.deepEqual(refusals(pod, { spec: { containers: [{ name: 'c', image: 'other' }] } }), []);
  assert.deepEqual(refusals(pod, { spec: { activeDeadlineSeconds: 5 } }), []);
  assert.match(
    refusals(pod, { spec: { nodeName: 'node' } })[0] ?? '',
    /^spec: Forbidden: pod updates may not change/,
  );
});

test('a Service keeps its address', () => {
  const service = object('v1', 'Service', {
    spec: { clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'], ports: [{ port: 80 }] },
  });
  assert.deepEqual(refusals(service, { spec: { clusterIP: '10.96.0.77', clusterIPs: ['10.96.0.77'] } }), [
    'spec.clusterIPs[0]: Invalid value: ["10.96.0.77"]: may not change once set',
  ]);
  assert.deepEqual(refusals(service, { spec: { ports: [{ port: 81 }] } }), []);
});

test('immutable ConfigMaps and Secrets', () => {
  const configMap = object('v1', 'ConfigMap', { immutable: true, data: { a: 'b' } });
  assert.deepEqual(refusals(configMap, { data: { a: 'c' } }), [
    'data: Forbidden: field is immutable when `immutable` is set',
  ]);
  assert.deepEqual(refusals(configMap, { immutable: false }), [
    'immutable: Forbidden: field is immutable when `immutable` is set',
  ]);
  assert.deepEqual(refusals(configMap, { metadata: { labels: { a: 'b' } } }), []);
  const secret = object('v1', 'Secret', { type: 'Opaque' });
  assert.deepEqual(refusals(secret, { type: 'foo' }), ['type: Invalid value: "foo": field is immutable']);
});

test('a binding keeps its role, a slice its address type', () => {
  const binding = object('rbac.authorization.k8s.io/v1', 'RoleBinding', {
    roleRef: { kind: 'Role', name: 'a' },
  });
  assert.deepEqual(refusals(binding, { roleRef: { name: 'z' } }), [
    'roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"z"}: cannot change roleRef',
  ]);
  const slice = object('discovery.k8s.io/v1', 'EndpointSlice', {
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.1.2.3'] }],
  });
  assert.deepEqual(refusals(slice, { addressType: 'IPv6', endpoints: [] }), [
    'addressType: Invalid value: "IPv6": field is immutable',
  ]);
  assert.deepEqual(
    refusals(slice, { endpoints: [{ addresses: ['127.1.2.4'] }] }),
    [],
    'loopback is allowed here',
  );
});

test('identity, labels and finalizers', () => {
  const configMap = object('v1', 'ConfigMap', {});
  assert.deepEqual(refusals(configMap, { metadata: { uid: 'other' } }), [
    'metadata.uid: Invalid value: "other": field is immutable',
  ]);
  const [label, finalizer] = refusals(configMap, { metadata: { labels: { a: 'b c' }, finalizers: ['foo'] } });
  assert.match(label ?? '', /^metadata\.labels: Invalid value: "b c": a valid label must be an empty string/);
  assert.equal(
    finalizer,
    'metadata.finalizers[0]: Invalid value: "foo": name is neither a standard finalizer name nor is it fully qualified',
  );
  const deleting = object('v1', 'ConfigMap', {
    metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['a/b'] },
  });
  assert.match(
    refusals(deleting, { metadata: { finalizers: ['a/b', 'c/d'] } })[0] ?? '',
    /^metadata\.finalizers: Forbidden: no new finalizers can be added if the object is being deleted/,
  );
});
