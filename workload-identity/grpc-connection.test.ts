import assert from 'node:assert/strict';
import { test } from 'node:test';
import { methods } from '../api/proto/methods.ts';
import { silentLog } from '../log/index.ts';
import { createChannel } from './grpc-client.ts';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import { ManualClock } from './testing/manual-clock.ts';
import { silentHttp2 } from './testing/silent-http2.ts';

test('an address that takes no requests is given up after 5 s, and the next one is tried', async () => {
  const clock = new ManualClock(0);
  const { connect, told, reached } = silentHttp2(false);
  const channel = createChannel({
    address: 'control:8080',
    resolve: () => Promise.resolve(['10.0.0.1', '10.0.0.2'].map((address) => ({ address, port: 8080 }))),
    tls: () => ({}),
    logger: silentLog,
    connect,
    clock,
  });
  const asked = channel.unary(methods.certify, { identity: 'web' });
  const refused = assert.rejects(
    asked,
    (error) =>
      error instanceof GrpcError &&
      error.code === grpcStatus.unavailable &&
      /10\.0\.0\.1: .* 5000 ms; 10\.0\.0\.2: .* 5000 ms/.test(error.message),
  );
  await reached({ told: 1 });
  clock.advance(4_999);
  assert.deepEqual(told, ['10.0.0.1']);
  clock.advance(1);
  assert.deepEqual(told, ['10.0.0.1', 'given up 10.0.0.1']);
  await reached({ told: 3 });
  clock.advance(4_999);
  assert.deepEqual(told.slice(2), ['10.0.0.2']);
  clock.advance(1);
  await refused;
  assert.deepEqual(told.slice(2), ['10.0.0.2', 'given up 10.0.0.2']);
  channel.close();
});
