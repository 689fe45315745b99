import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resources } from '../proxy/testing/resources.ts';
import { TestMesh } from '../proxy/testing/mesh/test-mesh.ts';
import { throughGateway } from './warm-up-way.ts';

test('a way whose sidecar cannot be had leaves no gateway behind', async (t) => {
  const mesh = await TestMesh.create();
  t.after(() => mesh.close());
  const west = await mesh.cluster('west');
  const pod = mesh.gatewayPod(west);
  const identity = await mesh.identity(west, pod);
  let meanwhile = 0;
  const taken = (): Promise<never> => {
    meanwhile = resources().listeners;
    return Promise.reject(new Error('its port is taken'));
  };
  const before = resources();
  await assert.rejects(throughGateway(mesh.meshConfig(pod), identity, taken)(1), /its port is taken/);
  // Of the gateway, at its door and for its admin.
  assert.equal(meanwhile, before.listeners + 2);
  assert.deepEqual(resources(), before);
});
