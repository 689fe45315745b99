import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, type WatchEvent } from '../types.ts';
import { valueAt } from './json.ts';
import { startTestServer } from './testing/test-server.ts';

function reasonIs(reason: string): (error: unknown) => boolean {
  return (error) => error instanceof ApiError && error.reason === reason;
}

void test('the loopback client writes, and its watch has told it when the write returns', async (t) => {
  const { server } = await startTestServer(t);
  const client = server.loopback;
  const { resourceVersion } = client.list('configmaps', { namespace: 'default' });
  const seen: string[] = [];
  const watch = client.watch('configmaps', { namespace: 'default', resourceVersion }, (event: WatchEvent) => {
    if (event.type !== 'BOOKMARK') seen.push(`${event.type} ${event.object.metadata.name ?? ''}`);
  });
  const made = await client.create('configmaps', { metadata: { name: 'a', namespace: 'default' } });
  assert.deepEqual(seen, ['ADDED a']);
  await client.patch('configmaps', 'default', 'a', { data: { x: '1' } });
  await assert.rejects(
    client.update('configmaps', { ...made, metadata: { ...made.metadata } }),
    reasonIs('Conflict'),
  );
  await assert.rejects(
    client.create('configmaps', { metadata: { name: 'a', namespace: 'default' } }),
    reasonIs('AlreadyExists'),
  );
  await assert.rejects(
    client.delete('configmaps', 'default', 'a', { preconditions: { uid: 'other' } }),
    reasonIs('Conflict'),
  );
  await client.delete('configmaps', 'default', 'a');
  watch.close();
  await client.create('configmaps', { metadata: { name: 'b', namespace: 'default' } });
  assert.deepEqual(seen, ['ADDED a', 'MODIFIED a', 'DELETED a']);
  assert.equal(client.get('configmaps', 'default', 'a'), undefined);
});

void test('each resource once, in its stored form', async (t) => {
  const { server } = await startTestServer(t);
  const names = server.loopback.resources().map(({ plural, group }) => `${plural}.${group}`);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.includes('pods.') && names.includes('deployments.apps') && names.includes('events.'));
  assert.ok(!names.includes('events.events.k8s.io') && !names.includes('tokenreviews.authentication.k8s.io'));
});

void test('pods: binding once, status apart from spec, grace only when scheduled, eviction under a budget', async (t) => {
  const { server } = await startTestServer(t);
  const client = server.loopback;
  await client.create('serviceaccounts', { metadata: { name: 'default', namespace: 'default' } });
  const pod = (name: string): object => ({
    metadata: { name, namespace: 'default', labels: { app: 'x' } },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  });
  await client.create('pods', pod('p'));
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'p', namespace: 'default' },
    target: { kind: 'Node', name: 'n' },
  };
  await client.create('pods', binding, { subresource: 'binding' });
  await assert.rejects(client.create('pods', binding, { subresource: 'binding' }), reasonIs('Conflict'));
  const bound = client.get('pods', 'default', 'p');
  assert.equal(valueAt(bound, 'spec.nodeName'), 'n');
  assert.equal(valueAt(bound, 'metadata.generation'), 1);
  const status = await client.patch(
    'pods',
    'default',
    'p',
    { status: { phase: 'Running' }, spec: { nodeName: 'other' } },
    { subresource: 'status' },
  );
  assert.deepEqual([valueAt(status, 'status.phase'), valueAt(status, 'spec.nodeName')], ['Running', 'n']);
  const main = await client.patch('pods', 'default', 'p', { status: { phase: 'Failed' } });
  assert.equal(valueAt(main, 'status.phase'), 'Running');

  const budget = {
    metadata: { name: 'b', namespace: 'default' },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'x' } } },
  };
  await client.create('poddisruptionbudgets.policy', budget);
  const eviction = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name: 'p', namespace: 'default' },
  };
  await assert.rejects(
    client.create('pods', eviction, { subresource: 'eviction' }),
    reasonIs('TooManyRequests'),
  );
  await client.delete('pods', 'default', 'p');
  assert.equal(client.get('pods', 'default', 'p')?.metadata.deletionGracePeriodSeconds, 30);
  await client.delete('pods', 'default', 'p', { gracePeriodSeconds: 0 });
  assert.equal(client.get('pods', 'default', 'p'), undefined);
  await client.create('pods', pod('unscheduled'));
  await client.delete('pods', 'default', 'unscheduled');
  assert.equal(client.get('pods', 'default', 'unscheduled'), undefined);
});

void test('a namespace goes when it was deleted and its last finalizer is taken away', async (t) => {
  const { server } = await startTestServer(t);
  const client = server.loopback;
  await client.create('namespaces', { metadata: { name: 'n' } });
  await client.delete('namespaces', undefined, 'n');
  const going = client.get('namespaces', undefined, 'n');
  assert.equal(valueAt(going, 'status.phase'), 'Terminating');
  const finalized = { ...going, spec: { finalizers: [] } };
  await client.update('namespaces', finalized, { subresource: 'finalize' });
  assert.equal(client.get('namespaces', undefined, 'n'), undefined);
});

void test('events have one store and two faces', async (t) => {
  const { server, call } = await startTestServer(t);
  const event = {
    metadata: { name: 'e', namespace: 'default' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    reason: 'Started',
    message: 'it runs',
    type: 'Normal',
    count: 2,
  };
  await server.loopback.create('events', event);
  const { body } = await call('GET', '/apis/events.k8s.io/v1/namespaces/default/events/e');
  assert.equal(body['note'], 'it runs');
  assert.equal(valueAt(body, 'regarding.name'), 'p');
  assert.equal(body['deprecatedCount'], 2);
  assert.equal(body['message'], undefined);
});

void test('the log of a pod comes from the node agent, with what was asked for', async (t) => {
  const asked: unknown[] = [];
  const { server, call } = await startTestServer(t, {
    kubelet: {
      async podLog({ signal: _signal, ...request }) {
        asked.push(request);
        return (async function* () {
          yield 'one\n';
          yield 'two\n';
        })();
      },
    },
  });
  await server.loopback.create('serviceaccounts', { metadata: { name: 'default', namespace: 'default' } });
  const containers = [
    { name: 'a', image: 'i' },
    { name: 'b', image: 'i' },
  ];
  const pod = { metadata: { name: 'p', namespace: 'default' }, spec: { containers } };
  await server.loopback.create('pods', pod);
  const log = '/api/v1/namespaces/default/pods/p/log';
  assert.equal(
    (await call('GET', log)).body['message'],
    'a container name must be specified for pod p, choose one of: [a b]',
  );
  assert.equal(
    (await call('GET', `${log}?container=c`)).body['message'],
    'container c is not valid for pod p',
  );
  const { body } = await call('GET', `${log}?container=b&tailLines=2&previous=true`);
  assert.deepEqual(body, { text: 'one\ntwo\n' });
  assert.deepEqual(asked, [
    {
      namespace: 'default',
      pod: 'p',
      container: 'b',
      previous: true,
      follow: false,
      tailLines: 2,
      sinceSeconds: undefined,
      sinceTime: undefined,
      timestamps: false,
      limitBytes: undefined,
    },
  ]);
});
