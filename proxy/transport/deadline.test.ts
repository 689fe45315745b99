import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deadline } from './deadline.ts';
import { TimerWheel } from './timers.ts';

const TICK = 100;

test('a deadline that is moved and cleared at will is met once, not before its time and at most two ticks after it', () => {
  const step = fc.record({
    do: fc.constantFrom('set', 'clear', 'wait'),
    ms: fc.integer({ min: 1, max: 5_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 0;
      let due = Infinity;
      const wheel = new TimerWheel(() => now, TICK);
      const deadline = new Deadline(wheel, () => {
        assert.ok(now >= due, `at ${now}, due ${due}`);
        due = Infinity;
      });
      for (const { do: what, ms } of steps) {
        if (what === 'set') {
          deadline.set(ms);
          due = wheel.lastTick + ms;
        } else if (what === 'clear') {
          deadline.clear();
          due = Infinity;
        } else {
          for (const end = now + ms; now < end;) {
            now += Math.min(TICK, end - now);
            wheel.tick();
            assert.ok(now < due + 2 * TICK, `at ${now}, due ${due}`);
          }
        }
      }
      deadline.stop();
      due = -1;
      now += 20_000;
      wheel.tick();
      assert.equal(due, -1);
    }),
  );
});
