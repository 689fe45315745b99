import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FakeClock } from '../testing/fake-clock.ts';
import { Prober } from './prober.ts';

function probed(results: readonly boolean[], initial: boolean | undefined, numbers: object, eager = false) {
  const clock = new FakeClock(0);
  const verdicts: [number, boolean][] = [];
  const failures: number[] = [];
  let at = 0;
  const prober = new Prober({
    probe: { periodSeconds: 2, failureThreshold: 2, ...numbers },
    clock,
    initial,
    eager,
    run: async () => {
      const healthy = results[at] ?? results.at(-1) ?? true;
      at += 1;
      return healthy ? { healthy } : { healthy, message: 'no' };
    },
    onFailure: () => failures.push(clock.now()),
    onVerdict: (healthy) => verdicts.push([clock.now(), healthy]),
  });
  return { clock, verdicts, failures, prober, runs: () => at };
}

await it('waits for the initial delay, then probes at its period', async () => {
  const { clock, verdicts, runs } = probed([true], false, { initialDelaySeconds: 3 });
  await clock.advance(2999);
  assert.equal(runs(), 0);
  await clock.advance(4001);
  assert.equal(runs(), 3);
  assert.deepEqual(verdicts, [[3000, true]]);
});

await it('changes its verdict only after as many results in a row as the threshold says', async () => {
  const { clock, verdicts } = probed([true, false, true, false, false, false, true], false, {});
  await clock.advance(20_000);
  assert.deepEqual(verdicts, [
    [0, true],
    [8000, false],
    [12_000, true],
  ]);
});

await it('tells the first verdict either way when none was assumed, and nothing after its stop', async () => {
  const { clock, verdicts, prober } = probed([false], undefined, {});
  await clock.advance(2000);
  assert.deepEqual(verdicts, [[2000, false]]);
  prober.stop();
  await clock.advance(10_000);
  assert.equal(verdicts.length, 1);
});

await it('looks in between until it has been healthy once, and counts only the success of that', async () => {
  const late = probed([false, false, false, true, false], false, {}, true);
  await late.clock.advance(2149);
  assert.deepEqual(late.verdicts, [[150, true]], 'looked at 0, 50, 100 and 150 ms');
  assert.deepEqual(late.failures, [0], 'a failure in between is no news');
  await late.clock.advance(20_000);
  assert.deepEqual(late.failures.slice(1, 3), [2150, 4150], 'then at its period alone');

  const never = probed([false], undefined, { failureThreshold: 3 }, true);
  await never.clock.advance(20_000);
  assert.deepEqual(never.verdicts, [[4000, false]], 'the threshold is reached no sooner');
  const between = never.runs() - 11;
  await never.clock.advance(80_000);
  assert.equal(never.runs(), 11 + between + 40, 'after ten periods there is none in between any more');
});

await it('finds a container that starts slowly by a tenth of that time later at the most', async () => {
  for (const readyAt of [60, 420, 1010, 1900, 2600, 7300]) {
    const clock = new FakeClock(0);
    let foundAt: number | undefined;
    const prober = new Prober({
      probe: { periodSeconds: 2 },
      clock,
      initial: false,
      eager: true,
      run: async () => (clock.now() >= readyAt ? { healthy: true } : { healthy: false, message: 'no' }),
      onFailure: () => undefined,
      onVerdict: () => (foundAt = clock.now()),
    });
    await clock.advance(10_000);
    prober.stop();
    assert.ok(
      foundAt !== undefined && foundAt - readyAt <= Math.max(50, readyAt * 0.11),
      `${readyAt}: ${foundAt}`,
    );
  }
});
