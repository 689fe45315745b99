import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Pod } from '../../api/kubernetes-types.ts';
import { podField, resourceField } from './downward.ts';

const place = { podIp: '127.64.0.2', hostIp: '127.64.0.1', nodeCpu: 4, nodeMemoryBytes: 8 * 2 ** 30 };
const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'p',
    namespace: 'shop',
    uid: 'u',
    labels: { app: 'web', 'a.b/c': 'x"y\n' },
    annotations: { note: 'n' },
  },
  spec: { containers: [], nodeName: 'node', serviceAccountName: 'sa' },
};

await it("gives a pod's fields, empty where the pod has none, and knows which do not exist", () => {
  const cases: [string, string | undefined][] = [
    ['metadata.name', 'p'],
    ['metadata.namespace', 'shop'],
    ['metadata.uid', 'u'],
    ["metadata.labels['app']", 'web'],
    ["metadata.labels['none']", ''],
    ["metadata.annotations['note']", 'n'],
    ['metadata.labels', 'a.b/c="x\\"y\\n"\napp="web"'],
    ['spec.nodeName', 'node'],
    ['spec.serviceAccountName', 'sa'],
    ['status.podIP', '127.64.0.2'],
    ['status.hostIPs', '127.64.0.1'],
    ['spec.containers', undefined],
  ];
  for (const [path, expected] of cases) assert.equal(podField(pod, place, path), expected, path);
});

await it("gives a container's resources in units of the divisor, rounded up, and the node's where there is no limit", () => {
  const container = {
    name: 'c',
    resources: { limits: { cpu: '1500m', memory: '100Mi' }, requests: { memory: '64Mi' } },
  };
  const value = (resource: string, divisor?: string): string | undefined =>
    resourceField(container, place, resource, divisor);
  assert.equal(value('limits.cpu'), '2');
  assert.equal(value('limits.cpu', '1m'), '1500');
  assert.equal(value('limits.memory', '1Mi'), '100');
  assert.equal(value('limits.memory', '0'), String(100 * 2 ** 20));
  assert.equal(value('requests.memory', '1Mi'), '64');
  assert.equal(value('requests.cpu', '1m'), '1500', 'a request that is not set is the limit');
  assert.equal(value('limits.bananas'), undefined);
  assert.equal(value('wishes.cpu'), undefined);
  const free = { name: 'free' };
  assert.equal(resourceField(free, place, 'limits.cpu'), '4');
  assert.equal(resourceField(free, place, 'limits.memory', '1Gi'), '8');
  assert.equal(resourceField(free, place, 'requests.cpu'), '0');
});
