import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import { Registry } from 'prom-client';

import { GetDestinationSchema, type Update } from '../api/proto/gen/linkerd/destination_pb.js';
import { label } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { FakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import { createDestinationServices } from './index.ts';
import { namespace, service, settings, slice, TestStream } from './testing/fixture.ts';

/** A stream whose messages can be awaited. */
class AwaitedStream extends TestStream<Update> {
  #wake: (() => void) | undefined;

  override write(message: Update): boolean {
    super.write(message);
    this.#wake?.();
    return true;
  }

  async next(): Promise<Update['update']> {
    while (this.messages.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.messages.shift();
    assert.ok(message !== undefined);
    return message.update;
  }
}

test('what changed while the API server was away becomes a difference when it is back', async () => {
  const api = await new FakeApiServer().start();
  const client = createClient(api.config());
  api.put(resources.namespaces, namespace('shop'));
  api.put(resources.services, service('web'));
  api.put(resources.endpointSlices, slice('web', []));
  const services = createDestinationServices({ client, settings, registry: new Registry() });
  try {
    await services.synced;
    const stream = new AwaitedStream();
    services.destination.get(create(GetDestinationSchema, { path: 'web.shop.svc:80' }), stream);
    assert.equal((await stream.next()).case, 'noEndpoints');
    await api.stop();
    await api.start();
    api.put(resources.endpointSlices, slice('web', [{ ip: '10.1.0.1' }]));
    assert.equal((await stream.next()).case, 'add');
  } finally {
    await services.stop();
    await client.close();
    await api.stop();
  }
});

test('without the right to see Nodes all else is told, and zones from when it is there', async () => {
  const api = await new FakeApiServer().start();
  const client = createClient(api.config());
  api.put(resources.namespaces, namespace('shop'));
  api.put(resources.services, service('web'));
  api.put(resources.endpointSlices, slice('web', [{ ip: '10.1.0.1', zone: 'a' }]));
  api.put(resources.nodes, { metadata: { name: 'n1', labels: { [label.zone]: 'a' } } });
  let refusals = 0;
  let allowed = false;
  const refusedAgain = Promise.withResolvers<void>();
  api.fault = ({ path }) => {
    if (allowed || !path.startsWith('/api/v1/nodes')) return undefined;
    refusals += 1;
    if (refusals === 2) refusedAgain.resolve();
    return { kind: 'status', code: 403, reason: 'Forbidden', message: 'nodes is forbidden' };
  };
  const warnings: string[] = [];
  const logger = { ...silentLog, warn: (_fields: object, text: string) => void warnings.push(text) };
  const registry = new Registry();
  const services = createDestinationServices({ client, settings, registry, logger });
  const locality = ({ case: kind, value }: Update['update']) =>
    kind === 'add' ? value.addrs.map(({ metricLabels }) => metricLabels['zone_locality']) : kind;
  try {
    await services.synced;
    assert.ok(services.hasSynced);
    const stream = new AwaitedStream();
    const contextToken = JSON.stringify({ ns: 'shop', pod: 'c', nodeName: 'n1' });
    services.destination.get(create(GetDestinationSchema, { path: 'web.shop.svc:80', contextToken }), stream);
    assert.deepEqual(locality(await stream.next()), ['unknown']);
    await refusedAgain.promise;
    assert.equal(warnings.filter((text) => text.includes('Nodes')).length, 1);
    assert.match(
      await registry.metrics(),
      /^isthmus_reflector_lists_total\{resource="nodes",result="error"\} \d+$/m,
    );
    allowed = true;
    assert.deepEqual(locality(await stream.next()), ['local']);
    api.put(resources.nodes, { metadata: { name: 'n1', labels: { [label.zone]: 'b' } } });
    assert.deepEqual(locality(await stream.next()), ['remote']);
  } finally {
    await services.stop();
    await client.close();
    await api.stop();
  }
});
