import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { resources } from '../proxy/testing/resources.ts';
import { TestMesh } from '../proxy/testing/mesh/test-mesh.ts';
import { throughGateway } from './warm-up-way.ts';

/** What is closed is gone one or two turns of the event loop later. */
const TURNS = 10;

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
  assert.ok(meanwhile > before.listeners, 'the gateway listened');
  for (let turn = 0; turn < TURNS; turn++) await setImmediate();
  assert.deepEqual(resources(), before);
});
