import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { CoreEvent, KubernetesObject, Pod } from '../api/kubernetes-types.ts';
import { createClient } from '../kubernetes/client.ts';
import { createEventRecorder, type EventRecorder } from '../kubernetes/events.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { FakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { injectPod } from './inject-pod.ts';
import { createInjectionEvents } from './injection-events.ts';
import { createPodOwner } from './pod-owner.ts';
import { context, namespace, pod } from './testing/fixture.ts';

let api: FakeApiServer;
let client: KubernetesClient;
let recorder: EventRecorder;

before(async () => {
  api = await new FakeApiServer({ checkNamespaces: false }).start();
  client = createClient(api.config());
  recorder = createEventRecorder(client, { component: 'isthmus-injector' });
  api.put(resources.replicaSets, {
    metadata: {
      name: 'web-5d',
      namespace: 'shop',
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'd-1', controller: true },
      ],
    },
  });
});

after(async () => {
  await recorder.stop();
  await client.close();
  await api.stop();
});

function owned(by: { kind: string; name: string; uid: string }, subject: Pod): Pod {
  const owner = { apiVersion: 'apps/v1', controller: true, ...by };
  return { ...subject, metadata: { ...subject.metadata, ownerReferences: [owner] } };
}

function told(decisions: { subject: Pod; dryRun?: boolean }[]): void {
  const tell = createInjectionEvents(recorder, createPodOwner(client, silentLog));
  for (const { subject, dryRun = false } of decisions) {
    tell({ pod: subject, namespace: 'shop', dryRun, result: injectPod(subject, namespace(), context) });
  }
}

function about(name: string): CoreEvent[] {
  return api.list(resources.events).filter((event) => event.involvedObject.name === name);
}

const ASKED = { 'isthmus.dev/inject': 'enabled' };
const REPLICA_SET = { kind: 'ReplicaSet', name: 'web-5d', uid: 'r-1' };

test('an injection is told on the Deployment, once for all its pods', async () => {
  const subject = owned(REPLICA_SET, pod(ASKED));
  told([{ subject }, { subject }]);
  await api.until(() => about('web').some(({ count }) => count === 2));
  const [event] = about('web');
  assert.equal(event?.reason, 'Injected');
  const { kind, uid }: KubernetesObject & { uid?: string } = event?.involvedObject ?? {};
  assert.deepEqual({ kind, uid }, { kind: 'Deployment', uid: 'd-1' });
});

test('a pod that asked and could not be injected is told with the reason, on the owner itself where nothing stands above', async () => {
  told([
    { subject: owned({ kind: 'StatefulSet', name: 'db', uid: 's-1' }, pod(ASKED, { hostNetwork: true })) },
  ]);
  await api.until(() => about('db').length > 0);
  const [event] = about('db');
  assert.equal(event?.reason, 'InjectionSkipped');
  assert.match(event?.message ?? '', /hostNetwork/);
});

test('an annotation that nothing came of is told as a warning', async () => {
  const asked = { ...ASKED, 'config.linkerd.io/proxy-cpu-limit': 'much' };
  told([{ subject: owned({ kind: 'StatefulSet', name: 'typo', uid: 't-1' }, pod(asked)) }]);
  await api.until(() => about('typo').length === 2);
  const warning = about('typo').find(({ type }) => type === 'Warning');
  assert.equal(warning?.reason, 'AnnotationIgnored');
  assert.match(warning.message ?? '', /proxy-cpu-limit: "much" is not a quantity/);
});

test('that the API server asks again about a pod that has our sidecar is no news; Linkerd’s is', async () => {
  const again = pod(ASKED, { initContainers: [{ name: 'isthmus-proxy' }] });
  const linkerds = pod(ASKED, { containers: [{ name: 'linkerd-proxy' }] });
  told([
    { subject: owned({ kind: 'StatefulSet', name: 'again', uid: 'a-1' }, again) },
    { subject: owned({ kind: 'StatefulSet', name: 'linkerds', uid: 'l-1' }, linkerds) },
  ]);
  await api.until(() => about('linkerds').length > 0);
  assert.deepEqual(about('again'), []);
});

test('a ReplicaSet that can not be read is told itself; nobody is told of dry runs and of pods that did not ask', async () => {
  told([
    { subject: owned({ kind: 'StatefulSet', name: 'quiet', uid: 'q-1' }, pod()) },
    { subject: owned({ kind: 'StatefulSet', name: 'quiet', uid: 'q-1' }, pod(ASKED)), dryRun: true },
    { subject: owned({ kind: 'ReplicaSet', name: 'gone-1', uid: 'g-1' }, pod(ASKED)) },
  ]);
  await api.until(() => about('gone-1').length > 0);
  assert.deepEqual(about('quiet'), []);
});
