import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Deployment, Pod } from '../../api/kubernetes-types.ts';
import { label } from '../../api/names.ts';
import { createClient } from '../../kubernetes/client.ts';
import { resources } from '../../kubernetes/resources.ts';
import { startFakeApiServer } from '../../kubernetes/testing/fake-api-server.ts';
import { UserError } from '../errors.ts';
import { waitForDeployment } from './wait-for-mesh.ts';

const server = await startFakeApiServer();
const client = createClient(server.config('token'));
after(async () => {
  await client.close();
  await server.stop();
});
before(() => server.put(resources.namespaces, { metadata: { name: 'mesh' } }));
beforeEach(() => {
  for (const { metadata } of server.list(resources.pods))
    server.remove(resources.pods, 'mesh', metadata?.name ?? '');
});

function deployment(status: Deployment['status'], replicas = 3): void {
  const selector = { [label.component]: 'part' };
  server.put(resources.deployments, {
    metadata: { name: 'part', namespace: 'mesh', generation: 1 },
    spec: { replicas, selector: { matchLabels: selector }, template: {} },
    status: { observedGeneration: 1, ...status },
  });
}

function pod(name: string, status: NonNullable<Pod['status']>, deletionTimestamp?: string): void {
  const metadata = { name, namespace: 'mesh', labels: { [label.component]: 'part' } };
  server.put(resources.pods, {
    metadata: { ...metadata, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
    spec: { containers: [] },
    status,
  });
}

const container = { name: 'gateway', ready: false, restartCount: 0, image: 'i', imageID: '' };

/** What the person is told who has waited in vain. */
async function told(): Promise<string> {
  try {
    await waitForDeployment(client, 'mesh', 'part', 0);
  } catch (error) {
    assert.ok(error instanceof UserError);
    return `${error.message}. ${error.hint}`;
  }
  return 'available';
}

test('available is what has every replica of the newest revision, and none of an older', async () => {
  const all = { replicas: 3, updatedReplicas: 3, availableReplicas: 3 };
  deployment(all);
  assert.equal(await told(), 'available');
  for (const not of [
    { ...all, observedGeneration: 0 },
    { ...all, updatedReplicas: 2 },
    { ...all, availableReplicas: 2 },
    { ...all, replicas: 4 },
    {},
  ]) {
    deployment(not);
    assert.match(await told(), /waited 0 s for Deployment mesh\/part to be available/, JSON.stringify(not));
  }
});

test('whoever waits in vain is told what is in the way', async () => {
  deployment({ replicas: 3, updatedReplicas: 3, availableReplicas: 1 });
  pod('a', {
    conditions: [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes are available' }],
  });
  pod('b', {
    containerStatuses: [
      { ...container, state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } } },
    ],
  });
  pod('c', { containerStatuses: [{ ...container, state: { running: {} } }] });
  pod('d', {
    containerStatuses: [
      {
        ...container,
        state: { waiting: { reason: 'PodInitializing' } },
        lastState: { terminated: { exitCode: 64 } },
      },
    ],
  });
  pod(
    'old',
    { containerStatuses: [{ ...container, state: { terminated: { exitCode: 1 } } }] },
    '2026-01-01T00:00:00Z',
  );
  const text = await told();
  for (const part of [
    '1 of 3 replicas available, 3 of this version',
    'a pod has no node: 0/1 nodes are available',
    'container gateway: ErrImagePull, no such image',
    'container gateway runs and is not ready yet',
    'container gateway ended with code 64',
    'kubectl -n mesh describe deployment part',
  ]) {
    assert.ok(text.includes(part), `${part} in: ${text}`);
  }
  assert.doesNotMatch(text, /code 1\b/, 'a pod that goes is not in the way');
});

test('a Deployment that may make no pods says why', async () => {
  deployment({
    conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'violates PodSecurity "restricted"' }],
  });
  assert.match(await told(), /0 of 3 replicas available.*violates PodSecurity/);
});
