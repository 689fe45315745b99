import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { Controller, TerminalError } from './controller.ts';
import type { Outcome } from './controller.ts';
import { createControllerMetrics } from './metrics.ts';
import { FakeClock } from './testing/fake-clock.ts';

/** A controller whose reconcile answers with what the test says, and the calls it got. */
function run(answers: (() => Outcome)[]) {
  const clock = new FakeClock();
  const registry = new Registry();
  const calls: { key: string; at: number }[] = [];
  const controller = new Controller({
    name: 'test',
    clock,
    metrics: createControllerMetrics(registry),
    reconcile: (key) => {
      calls.push({ key, at: clock.now() });
      const answer = answers.shift() ?? (() => ({ kind: 'done' }));
      return Promise.resolve().then(answer);
    },
  });
  return { clock, registry, calls, controller };
}

const fail = (error: Error) => (): never => {
  throw error;
};

test('done is done; an error is tried again with back-off that a success ends', async () => {
  const defect = fail(new Error('x'));
  const { clock, calls, controller } = run([defect, defect, () => ({ kind: 'done' }), defect]);
  controller.start();
  controller.enqueue('a');
  await clock.advance(100);
  controller.enqueue('a');
  await clock.advance(100);
  assert.deepEqual(
    calls.map((c) => c.at),
    [0, 5, 15, 100, 105],
  );
  await controller.stop();
});

test('after comes back after its time', async () => {
  const { clock, calls, controller } = run([() => ({ kind: 'after', ms: 50 })]);
  controller.start();
  controller.enqueue('a');
  await clock.advance(200);
  assert.deepEqual(
    calls.map((c) => c.at),
    [0, 50],
  );
  await controller.stop();
});

test('a terminal error is not tried again until something changes', async () => {
  const { clock, calls, controller } = run([fail(new TerminalError('never'))]);
  controller.start();
  controller.enqueue('a');
  await clock.advance(10_000_000);
  assert.equal(calls.length, 1);
  controller.enqueue('a');
  await clock.advance(1);
  assert.equal(calls.length, 2);
  await controller.stop();
});

test('results are counted, and all are there from the start', async () => {
  const { clock, registry, controller } = run([fail(new Error('x'))]);
  const line = (result: string, n: number): string =>
    `controller_runtime_reconcile_total{controller="test",result="${result}"} ${n}`;
  const before = await registry.metrics();
  for (const result of ['success', 'error', 'requeue_after', 'terminal_error'])
    assert.ok(before.includes(line(result, 0)));
  controller.start();
  controller.enqueue('a');
  await clock.advance(10);
  const after = await registry.metrics();
  assert.ok(after.includes(line('error', 1)));
  assert.ok(after.includes(line('success', 1)));
  await controller.stop();
});

test('stop waits for what is under way, and takes nothing more', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let ended = false;
  const controller = new Controller({
    name: 'test',
    reconcile: async (_key, signal) => {
      await promise;
      assert.equal(signal.aborted, true);
      ended = true;
      return { kind: 'done' };
    },
  });
  controller.start();
  controller.enqueue('a');
  controller.enqueue('b');
  const stopped = controller.stop();
  resolve();
  await stopped;
  assert.equal(ended, true);
});
