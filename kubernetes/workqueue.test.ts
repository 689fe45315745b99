import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FakeClock } from './testing/fake-clock.ts';
import { WorkQueue } from './workqueue.ts';

test('a key waits once, and in the order of arrival', async () => {
  const queue = new WorkQueue();
  for (const key of ['a', 'b', 'a']) queue.add(key);
  assert.equal(queue.length, 2);
  assert.deepEqual([await queue.get(), await queue.get()], ['a', 'b']);
});

test('a key that is added while it is worked on comes again after done, once', async () => {
  const queue = new WorkQueue();
  queue.add('a');
  assert.equal(await queue.get(), 'a');
  queue.add('a');
  queue.add('a');
  assert.equal(queue.length, 0);
  queue.done('a');
  assert.equal(await queue.get(), 'a');
  queue.done('a');
  assert.equal(queue.length, 0);
});

test('one that waits for a key gets it directly', async () => {
  const queue = new WorkQueue();
  const taken = queue.get();
  queue.add('a');
  assert.equal(await taken, 'a');
  queue.add('a');
  assert.equal(queue.length, 0, 'it is being worked on');
});

test('back-off doubles for each key alone, up to its cap, until forget', () => {
  const queue = new WorkQueue({ clock: new FakeClock(), baseDelayMs: 5, maxDelayMs: 30 });
  const delays = [1, 2, 3, 4, 5].map(() => queue.addRateLimited('a'));
  assert.deepEqual(delays, [5, 10, 20, 30, 30]);
  assert.equal(queue.addRateLimited('b'), 5);
  assert.equal(queue.failures('a'), 5);
  queue.forget('a');
  assert.equal(queue.addRateLimited('a'), 5);
});

test('the default bounds are those of controller-runtime: 5 ms to 1000 s', () => {
  const queue = new WorkQueue({ clock: new FakeClock() });
  const delays = Array.from({ length: 30 }, () => queue.addRateLimited('a'));
  assert.equal(delays[0], 5);
  assert.equal(delays.at(-1), 1_000_000);
});

test('the earliest of several delays counts', async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  queue.addAfter('a', 100);
  queue.addAfter('a', 10);
  queue.addAfter('a', 50);
  await clock.advance(9);
  assert.equal(queue.length, 0);
  await clock.advance(1);
  assert.equal(queue.length, 1);
  assert.equal(clock.pending, 0);
});

test('shutdown ends the waiting and takes nothing more', async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  const taken = queue.get();
  queue.addAfter('a', 10);
  queue.shutdown();
  queue.add('b');
  assert.equal(await taken, undefined);
  assert.equal(await queue.get(), undefined);
  assert.equal(clock.pending, 0);
});

test('property: no key is handed out twice at a time, and none that was added is lost', async () => {
  const action = fc.record({
    do: fc.constantFrom('add', 'get', 'done'),
    key: fc.constantFrom('a', 'b', 'c'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const queue = new WorkQueue();
      const working = new Set<string>();
      const owed = new Set<string>();
      const take = async (): Promise<void> => {
        const key = await queue.get();
        assert.ok(key !== undefined && !working.has(key));
        working.add(key);
        owed.delete(key);
      };
      for (const { do: what, key } of actions) {
        if (what === 'add') {
          queue.add(key);
          owed.add(key);
        } else if (what === 'get' && queue.length > 0) await take();
        else if (what === 'done' && working.delete(key)) queue.done(key);
      }
      for (const key of working) queue.done(key);
      working.clear();
      while (queue.length > 0) await take();
      assert.deepEqual([...owed], []);
    }),
  );
});
