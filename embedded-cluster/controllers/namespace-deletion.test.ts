import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLog } from '../../log/index.ts';
import type { KubernetesObject, Namespace } from '../../api/kubernetes-types.ts';
import { createEventRecorder } from '../events.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { MemoryApi } from '../testing/memory-api.ts';
import { runController } from './controller.ts';
import { namespaceDeletion } from './namespace-deletion.ts';

await it('goes when the last of its objects has, and asks for one that a finalizer holds now and then, not all the time', async () => {
  const api = new MemoryApi();
  const clock = new FakeClock();
  const events = createEventRecorder({ client: api, clock, component: 'test' });
  const context = { client: api, clock, logger: silentLog, events };
  await api.seed<Namespace>('namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'old' },
    spec: { finalizers: ['kubernetes'] },
  });
  const map = (name: string, finalizers: string[]): KubernetesObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'old', finalizers },
  });
  await api.seed('configmaps', map('free', []));
  await api.seed('configmaps', map('held', ['test/held']));
  const spec = namespaceDeletion(context);
  let looks = 0;
  const controller = runController(context, {
    ...spec,
    reconcile(key) {
      looks += 1;
      return spec.reconcile(key);
    },
  });
  await api.delete('namespaces', undefined, 'old');
  await clock.advance(10_000);
  assert.equal(api.get('configmaps', 'old', 'free'), undefined);
  assert.ok(api.get('configmaps', 'old', 'held')?.metadata.deletionTimestamp);
  assert.ok(looks <= 15, `${looks} looks in ten seconds`);
  await api.patch('configmaps', 'old', 'held', { metadata: { finalizers: [] } });
  await clock.advance(2000);
  const { spec: left } = (api.get('namespaces', undefined, 'old') ?? {}) as Namespace;
  assert.deepEqual(left?.finalizers ?? [], []);
  await controller.stop();
});
