import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { GrpcError, grpcStatus } from '../workload-identity/index.ts';
import { reviewToken } from './token-review.ts';

/** An API server that answers every review alike. */
function answering(status: unknown): KubernetesClient {
  return { raw: () => Promise.resolve({ status }) } as unknown as KubernetesClient;
}

const cases: [name: string, status: unknown, message: RegExp][] = [
  ['an expired token', { authenticated: false, error: 'token has expired' }, /token has expired/],
  [
    'a server that knows no audiences',
    { authenticated: true, user: { username: 'system:serviceaccount:shop:web' } },
    /is not for audience identity\.l5d\.io/,
  ],
  [
    "a person's token",
    { authenticated: true, audiences: ['identity.l5d.io'], user: { username: 'kubernetes-admin' } },
    /not that of a ServiceAccount/,
  ],
];

for (const [name, status, message] of cases) {
  test(`${name} is not accepted`, async () => {
    await assert.rejects(reviewToken(answering(status), 'token'), (error: unknown) => {
      assert.ok(error instanceof GrpcError);
      assert.equal(error.code, grpcStatus.unauthenticated);
      assert.match(error.details, message);
      return true;
    });
  });
}
