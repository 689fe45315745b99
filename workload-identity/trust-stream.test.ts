import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type TrustBundle, TrustBundleSchema } from '../api/proto/gen/isthmus/control_pb.js';
import type { Method } from '../api/proto/methods.ts';
import { silentLog } from '../log/index.ts';
import { GrpcError, grpcStatus } from './grpc-error.ts';
import type { Channel, StreamHandlers } from './grpc-types.ts';
import { ManualClock } from './testing/manual-clock.ts';
import { makeAnchor } from './testing/test-ca.ts';
import { TrustStore } from './trust-store.ts';
import { TrustStream } from './trust-stream.ts';

const anchor = await makeAnchor();

/** A channel whose streams are in the test's hands. */
class ManualChannel implements Channel {
  stream: StreamHandlers<TrustBundle> | undefined;

  unary(): never {
    throw new Error('nothing asks this');
  }
  serverStream(): never {
    throw new Error('nothing asks this');
  }
  bidiStream<I extends object, O extends object>(
    _method: Method<'bidi-stream', I, O>,
    handlers: StreamHandlers<O>,
  ) {
    this.stream = handlers as StreamHandlers<unknown>;
    return { send() {}, closeSend() {}, cancel() {} };
  }
  connect(): void {}
  close(): void {}
}

test('says for how long it has not been up to date', () => {
  const clock = new ManualClock(0);
  const channel = new ManualChannel();
  const stream = new TrustStream({
    channel,
    store: new TrustStore({ file: 'none', logger: silentLog, changed: () => {} }),
    namespace: 'shop',
    workload: 'web-1',
    logger: silentLog,
    clock,
    random: () => 0.5,
  });
  const tell = (sequence: bigint): void =>
    channel.stream?.message(create(TrustBundleSchema, { sequence, anchors: [anchor.x509.raw] }));
  const breakOff = (): void => channel.stream?.end(new GrpcError(grpcStatus.unavailable, 'gone'));
  clock.advance(5_000);
  assert.equal(stream.staleSeconds, 0, 'it is not wanted yet');
  stream.start();
  clock.advance(2_000);
  assert.equal(stream.staleSeconds, 2);
  tell(1n);
  clock.advance(60_000);
  assert.equal(stream.staleSeconds, 0);
  breakOff();
  clock.advance(30_000);
  assert.equal(stream.staleSeconds, 30);
  clock.jump(-3_600_000);
  assert.equal(stream.staleSeconds, 30, 'the clock was set, nothing else');
  breakOff();
  clock.advance(30_000);
  assert.equal(stream.staleSeconds, 60, 'an attempt that fails is no contact');
  tell(2n);
  assert.equal(stream.staleSeconds, 0);
  stream.stop();
  clock.advance(1_000);
  assert.equal(stream.staleSeconds, 0);
});
