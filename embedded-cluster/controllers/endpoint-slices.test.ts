import assert from 'node:assert/strict';
import { it } from 'node:test';
import { silentLog } from '../../log/index.ts';
import type { EndpointSlice, Pod, Service } from '../../api/kubernetes-types.ts';
import { label } from '../../api/names.ts';
import { createEventRecorder } from '../events.ts';
import { showNotReady } from '../node/pod-recovery.ts';
import { FakeClock, settle } from '../testing/fake-clock.ts';
import { MemoryApi } from '../testing/memory-api.ts';
import { listAs } from '../typed-client.ts';
import { runController } from './controller.ts';
import { endpointSlices } from './endpoint-slices.ts';
import { settleEndpoints } from './index.ts';

const SLICES = 'endpointslices.discovery.k8s.io';
const PATH = ['default', 'web'] as const;

async function world() {
  const api = new MemoryApi();
  const clock = new FakeClock();
  const events = createEventRecorder({ client: api, clock, component: 'test' });
  const context = { client: api, clock, logger: silentLog, events };
  await api.seed<Service>('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { type: 'LoadBalancer', selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  await api.seed<Pod>('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', labels: { app: 'web' } },
    spec: { nodeName: 'node', containers: [{ name: 'a', image: 'i' }] },
    status: {
      phase: 'Running',
      podIP: '127.64.0.2',
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'ContainersReady', status: 'True' },
      ],
      containerStatuses: [
        {
          name: 'a',
          image: 'i',
          imageID: '',
          restartCount: 0,
          ready: true,
          started: true,
          state: { running: { startedAt: '2030-01-01T00:00:00Z' } },
        },
      ],
    },
  });
  const endpoints = (): string[] =>
    listAs<EndpointSlice>(api, SLICES).flatMap((slice) =>
      (slice.endpoints ?? []).map((e) => `${e.addresses[0] ?? ''} ${e.conditions?.ready === true}`),
    );
  const follow = async (): Promise<{ stop(): Promise<void> }> => {
    const controller = runController(context, endpointSlices(context));
    await settle();
    return controller;
  };
  return { api, context, endpoints, follow };
}

await it('drops a pod whose labels do not match any more', async () => {
  const { api, endpoints, follow } = await world();
  const controller = await follow();
  assert.deepEqual(endpoints(), ['127.64.0.2 true']);
  await api.patch('pods', 'default', 'p', { metadata: { labels: { app: 'other' } } });
  await settle();
  assert.deepEqual(endpoints(), []);
  await controller.stop();
});

await it('says the zone of the node, and a new one when the node gets another', async () => {
  const { api, follow } = await world();
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node', labels: { [label.zone]: 'a' } } };
  await api.seed('nodes', node);
  const zones = (): unknown[] =>
    listAs<EndpointSlice>(api, SLICES).flatMap(({ endpoints }) => endpoints?.map(({ zone }) => zone) ?? []);
  const controller = await follow();
  assert.deepEqual(zones(), ['a']);
  for (const zone of ['b', null]) {
    await api.patch('nodes', undefined, 'node', { metadata: { labels: { [label.zone]: zone } } });
    await settle();
    assert.deepEqual(zones(), [zone ?? undefined]);
  }
  await controller.stop();
});

await it('leaves the slices of a service whose selector was taken away as they are, as the real controller does', async () => {
  const { api, endpoints, follow } = await world();
  const controller = await follow();
  for (const selector of [null, {}]) {
    await api.patch('services', ...PATH, { spec: { selector } });
    await api.patch('pods', 'default', 'p', { status: { podIP: '127.64.0.3' } });
    await settle();
    assert.deepEqual(endpoints(), ['127.64.0.2 true']);
  }
  await api.patch('services', ...PATH, { spec: { selector: { app: 'web' } } });
  await settle();
  assert.deepEqual(endpoints(), ['127.64.0.3 true'], 'and takes them up again with a selector');
  await controller.stop();
});

await it('shows nothing of an earlier run as ready once the start has put it right', async () => {
  const { api, context, endpoints, follow } = await world();
  await (await follow()).stop();
  await settleEndpoints(context);
  const ingress = (): unknown => (api.get('services', ...PATH) as Service).status?.loadBalancer?.ingress;
  assert.deepEqual(ingress(), [{ ip: '127.64.0.2' }]);

  await showNotReady({ ...context, nodeName: 'another-node' });
  await settleEndpoints(context);
  assert.deepEqual(endpoints(), ['127.64.0.2 true'], 'pods of other nodes run on');

  await showNotReady({ ...context, nodeName: 'node' });
  await settleEndpoints(context);
  assert.deepEqual(endpoints(), ['127.64.0.2 false']);
  assert.equal(ingress(), undefined);
  const { conditions = [], containerStatuses } = (api.get('pods', 'default', 'p') as Pod).status ?? {};
  assert.deepEqual(
    conditions.map((c) => `${c.type} ${c.status}`),
    ['Ready False', 'ContainersReady False'],
  );
  assert.equal(containerStatuses?.[0]?.ready, false);
  assert.ok(containerStatuses[0].state?.running, 'what had been running is still to be seen');
});
