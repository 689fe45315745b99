import assert from 'node:assert/strict';
import { afterEach, test, type TestContext } from 'node:test';

import { Registry } from 'prom-client';

import type { CoreEvent, Pod } from '../api/kubernetes-types.ts';
import { component, label } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { createEventRecorder } from '../kubernetes/events.ts';
import { silentLog } from '../kubernetes/log.ts';
import { createReflector } from '../kubernetes/reflector.ts';
import { resources } from '../kubernetes/resources.ts';
import { FakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import { FakeClock } from '../kubernetes/testing/fake-clock.ts';
import { lacksSidecar, trimUnmeshedPod } from './lacks-sidecar.ts';
import { MissingSidecars } from './missing-sidecars.ts';
import { createPodOwner } from './pod-owner.ts';
import { context, namespace, pod } from './testing/fixture.ts';

const ASKED = { 'isthmus.dev/inject': 'enabled' };
const HOUR_MS = 3_600_000;

const cases: [what: string, subject: Pod, where: ReturnType<typeof namespace>, expected: boolean][] = [
  ['asks for it', pod(ASKED), namespace(), true],
  ['is in a namespace that asks for it', pod(), namespace(ASKED), true],
  ['asks for nothing', pod(), namespace(), false],
  ['opts out', pod({ 'isthmus.dev/inject': 'disabled' }), namespace(ASKED), false],
  ['has its sidecar', pod(ASKED, { initContainers: [{ name: component.proxy }] }), namespace(), false],
  ['can have none', pod(ASKED, { hostNetwork: true }), namespace(), false],
  ['has ended', { ...pod(ASKED), status: { phase: 'Succeeded' } }, namespace(), false],
  ['is ending', { ...pod(), metadata: { deletionTimestamp: 'now', annotations: ASKED } }, namespace(), false],
];

for (const [what, subject, where, expected] of cases) {
  test(`a pod that ${what} ${expected ? 'lacks' : 'does not lack'} a sidecar, also as the cache keeps it`, () => {
    assert.equal(lacksSidecar(subject, where, context), expected);
    assert.equal(lacksSidecar(trimUnmeshedPod(subject), where, context), expected);
  });
}

test('a namespace that the webhook is not asked about has no missing sidecars', () => {
  const where = { name: 'shop', metadata: { labels: { [label.disableInjection]: 'disabled' } } };
  assert.equal(lacksSidecar(pod(ASKED), where, context), false);
});

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function replica(api: FakeApiServer, leads = true) {
  const client = createClient(api.config());
  const clock = new FakeClock();
  const registry = new Registry();
  const namespaces = createReflector(client, resources.namespaces);
  const recorder = createEventRecorder(client, { component: 'isthmus-injector', clock });
  const missing = new MissingSidecars({
    client,
    namespaces,
    settings: () => context,
    recorder,
    ownerOf: createPodOwner(client, silentLog),
    elect: async (lead, signal) => (leads ? lead(signal) : undefined),
    registry,
    clock,
    random: () => 0,
    log: silentLog,
  });
  namespaces.start();
  missing.start();
  cleanups.push(async () => {
    await missing.stop();
    await namespaces.stop();
    await recorder.stop();
    await client.close();
  });
  await namespaces.synced;
  const count = async (where: string): Promise<number> => {
    const metric = await registry.getSingleMetric('isthmus_injector_pods_without_proxy')?.get();
    return metric?.values.find(({ labels }) => labels['namespace'] === where)?.value ?? 0;
  };
  return { clock, count, missing };
}

async function startApi(t: TestContext): Promise<FakeApiServer> {
  const api = await new FakeApiServer({ checkNamespaces: false }).start();
  t.after(() => api.stop());
  api.put(resources.namespaces, { metadata: { name: 'shop', annotations: ASKED } });
  return api;
}

function stored(name: string, owner?: { kind: string; name: string; uid: string }): Pod {
  const controller = { apiVersion: 'apps/v1', controller: true };
  return {
    ...pod(),
    metadata: {
      name,
      namespace: 'shop',
      uid: `uid-${name}`,
      ...(owner === undefined ? {} : { ownerReferences: [{ ...controller, ...owner }] }),
    },
  };
}

function warnings(api: FakeApiServer): CoreEvent[] {
  return api.list(resources.events).filter(({ reason }) => reason === 'SidecarMissing');
}

/** Time goes on until something holds. */
async function until(clock: FakeClock, holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await clock.advance(1_000);
}

test('pods that the webhook missed are counted, and told once on what owns them', async (t) => {
  const api = await startApi(t);
  const set = { kind: 'StatefulSet', name: 'db', uid: 's-1' };
  for (const name of ['db-0', 'db-1']) api.put(resources.pods, stored(name, set));
  api.put(resources.pods, stored('alone'));
  const meshed = stored('meshed');
  api.put(resources.pods, {
    ...meshed,
    metadata: { ...meshed.metadata, labels: { [label.controlPlaneNs]: 'x' } },
  });
  const { clock, count } = await replica(api);
  await until(clock, () => warnings(api).length === 2);
  assert.equal(await count('shop'), 3);
  const [db] = warnings(api).filter(({ involvedObject }) => involvedObject.name === 'db');
  assert.equal(db?.involvedObject.kind, 'StatefulSet');
  assert.match(db.message ?? '', /kubectl -n shop rollout restart statefulset\/db/);
  assert.match(warnings(api).find((event) => event !== db)?.message ?? '', /make them anew/);
});

test('what is told is told again only after an hour, and no more once it is mended', async (t) => {
  const api = await startApi(t);
  api.put(resources.pods, stored('alone'));
  const { clock, count } = await replica(api);
  await until(clock, () => warnings(api).length === 1);
  const started = clock.now();
  await until(clock, () => warnings(api).reduce((sum, event) => sum + (event.count ?? 1), 0) === 2);
  assert.ok(clock.now() - started >= HOUR_MS - 1_000, String(clock.now() - started));
  api.remove(resources.pods, 'shop', 'alone');
  await until(clock, async () => (await count('shop')) === 0);
});

test('every replica counts, one tells', async (t) => {
  const api = await startApi(t);
  const first = await replica(api);
  const second = await replica(api, false);
  api.put(resources.pods, stored('alone'));
  await until(second.clock, async () => (await second.count('shop')) === 1);
  await until(first.clock, () => warnings(api).length === 1);
  await second.clock.advance(5_000);
  assert.equal(warnings(api).length, 1);
});

test('in a cluster with many such pods they are told some at a time', async (t) => {
  const api = await startApi(t);
  for (let i = 0; i < 45; i++) api.put(resources.pods, stored(`p-${i}`));
  const { clock } = await replica(api);
  await until(clock, () => warnings(api).length > 0);
  await clock.advance(0);
  assert.ok(warnings(api).length <= 20, String(warnings(api).length));
  await until(clock, () => warnings(api).length === 45);
});
