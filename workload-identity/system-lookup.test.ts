import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { LOOKUP_MS, LOOKUPS_AT_ONCE, MAX_WAITING, SystemLookup } from './system-lookup.ts';
import { ManualClock } from './testing/manual-clock.ts';

/** A system that answers when the test says so. */
function harness() {
  const clock = new ManualClock(0);
  const running: { host: string; answer: (addresses: string[]) => void; fail: (error: Error) => void }[] = [];
  const names = new SystemLookup(
    (host) => new Promise((answer, fail) => running.push({ host, answer, fail })),
    clock,
  );
  const hosts = (): string[] => running.map(({ host }) => host);
  const answer = async (addresses: string[]): Promise<void> => {
    running.shift()?.answer(addresses);
    await nextTurn();
  };
  return { clock, names, running, hosts, answer };
}

test('a name is looked up once for all who ask meanwhile, and anew afterwards', async () => {
  const { names, hosts, answer } = harness();
  const both = Promise.all([names.addresses('a'), names.addresses('a')]);
  assert.deepEqual(hosts(), ['a']);
  await answer(['10.0.0.1']);
  assert.deepEqual(await both, [['10.0.0.1'], ['10.0.0.1']]);
  const again = names.addresses('a');
  assert.deepEqual(hosts(), ['a']);
  await answer(['10.0.0.2']);
  assert.deepEqual(await again, ['10.0.0.2']);
});

test('name servers that do not answer: few threads are held, everybody is told in time, and names resolve when they are back', async () => {
  const { clock, names, hosts, answer } = harness();
  const failed = Promise.all(
    ['a', 'b', 'c', 'd'].map((host) =>
      assert.rejects(names.addresses(host), new RegExp(`the name ${host} was not resolved within`)),
    ),
  );
  assert.equal(hosts().length, LOOKUPS_AT_ONCE);
  clock.advance(LOOKUP_MS);
  await failed;
  const later = names.addresses('e');
  assert.deepEqual(hosts(), ['a', 'b'], 'what was given up keeps its threads, and takes no more');
  await answer([]);
  await answer([]);
  assert.deepEqual(hosts(), ['e']);
  await answer(['10.0.0.5']);
  assert.deepEqual(await later, ['10.0.0.5']);
});

test('what the system says is wrong is told, and the next one has its turn', async () => {
  const { names, running, hosts } = harness();
  const first = assert.rejects(names.addresses('a'), /ENOTFOUND/);
  const rest = ['b', 'c'].map((host) => names.addresses(host));
  running.shift()?.fail(new Error('getaddrinfo ENOTFOUND a'));
  await first;
  await nextTurn();
  assert.deepEqual(hosts(), ['b', 'c']);
  for (const { answer } of running) answer(['10.0.0.1']);
  await Promise.all(rest);
});

test('more names than may wait are refused', async () => {
  const { names, running } = harness();
  const asked = Array.from({ length: LOOKUPS_AT_ONCE + MAX_WAITING }, (_, i) => names.addresses(`n${i}`));
  await assert.rejects(names.addresses('one-more'), /the name one-more was not looked up/);
  while (running.length > 0) {
    running.shift()?.answer(['10.0.0.1']);
    await nextTurn();
  }
  await Promise.all(asked);
});
