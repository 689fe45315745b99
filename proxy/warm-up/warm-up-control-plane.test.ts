import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Method, methods } from '../../api/proto/methods.ts';
import { WarmUpControlPlane } from './warm-up-control-plane.ts';

const controlPlane = new WarmUpControlPlane({
  address: '127.0.0.1',
  port: 80,
  inboundPort: 4143,
  spiffeId: 'spiffe://mesh/cluster/east/ns/shop/sa/web',
  dnsName: 'web.shop.serviceaccount.identity.isthmus.east',
});

/** Resolves with its answer; rejects when it says that there is none. */
function told<I extends object, O extends object>(method: Method<'server-stream', I, O>): Promise<O> {
  return new Promise((message, reject) => {
    const end = (error?: Error): void => reject(error ?? new Error(`${method.path} is not answered`));
    controlPlane.serverStream(method, {}, { message, end });
  });
}

test('answers all that a sidecar asks for, so that it has read each kind of answer before the first request', async () => {
  const { fullyQualifiedName } = await told(methods.getProfile);
  assert.equal(fullyQualifiedName, 'warm-up.isthmus');
  const { update } = await told(methods.getEndpoints);
  assert.ok(update.case === 'add');
  assert.deepEqual(
    update.value.addrs.map(({ weight, addr }) => [weight, addr?.port]),
    [[10_000, 80]],
  );
  await told(methods.watchPort);
  await told(methods.watchOutbound);
});

test('an answer that nobody waits for any more does not come', async () => {
  const unasked = (): void => assert.fail('nobody waits');
  const asked = controlPlane.serverStream(methods.getProfile, {}, { message: unasked, end: unasked });
  asked.cancel();
  await new Promise((resolve) => setImmediate(resolve));
});
