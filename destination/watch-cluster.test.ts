import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';
import { Registry } from 'prom-client';

import { GetDestinationSchema, type Update } from '../api/proto/gen/linkerd/destination_pb.js';
import { createClient } from '../kubernetes/client.ts';
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
