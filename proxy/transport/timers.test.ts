import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Timer, TimerWheel } from './timers.ts';

describe('timer wheel', () => {
  test('every timer fires once, not before its time and at most a tick after it, whatever else is armed or cancelled', () => {
    const plan = fc.array(fc.record({ delay: fc.nat(200_000), cancel: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(plan, fc.array(fc.integer({ min: 1, max: 90_000 }), { maxLength: 20 }), (timers, steps) => {
        let now = 1000;
        const wheel = new TimerWheel(() => now, 100);
        const fired = timers.map(() => [] as number[]);
        const made = timers.map((_, i) => new Timer(() => fired[i]?.push(now)));
        made.forEach((timer, i) => wheel.arm(timer, timers[i]?.delay ?? 0));
        made.forEach((timer, i) => {
          if (timers[i]?.cancel === true) wheel.cancel(timer);
        });
        for (const step of [...steps, 300_000]) {
          now += step;
          wheel.tick();
          fired.forEach((times, i) => {
            const due = 1000 + (timers[i]?.delay ?? 0);
            const expected = timers[i]?.cancel !== true && due + 100 <= now;
            if (expected) assert.equal(times.length, 1);
            if (timers[i]?.cancel === true) assert.equal(times.length, 0);
            if (times.length > 0) assert.ok((times[0] ?? 0) >= due);
          });
        }
      }),
    );
  });

  test('a timer may arm itself and others again while it fires', () => {
    let now = 0;
    const wheel = new TimerWheel(() => now, 100);
    let count = 0;
    const again: Timer = new Timer(() => {
      count++;
      if (count < 3) wheel.arm(again, 100);
    });
    const other = new Timer(() => wheel.cancel(again));
    wheel.arm(again, 0);
    for (let i = 0; i < 10; i++) {
      now += 100;
      wheel.tick();
    }
    assert.equal(count, 3);
    wheel.arm(again, 500);
    wheel.arm(other, 100);
    now += 1000;
    wheel.tick();
    assert.equal(again.armed, false);
  });
});

test('a wheel that rests ticks only while something is armed', async () => {
  const wheel = new TimerWheel(() => performance.now(), 5);
  wheel.startResting();
  const fired = (): Promise<void> => new Promise((resolve) => wheel.arm(new Timer(() => resolve()), 5));
  await fired();
  await fired();
  const cancelled = new Timer(() => assert.fail('was cancelled'));
  wheel.arm(cancelled, 20);
  wheel.cancel(cancelled);
  await fired();
  wheel.stop();
});
