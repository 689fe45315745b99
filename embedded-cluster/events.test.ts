import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { CoreEvent } from '../api/kubernetes-types.ts';
import { createEventRecorder } from './events.ts';
import { FakeClock, settle } from './testing/fake-clock.ts';
import { MemoryApi } from './testing/memory-api.ts';
import { listAs } from './typed-client.ts';

function recorder() {
  const api = new MemoryApi();
  const clock = new FakeClock();
  const events = createEventRecorder({ client: api, clock, component: 'test' });
  const written = async (): Promise<CoreEvent[]> => {
    let before = -1;
    let now = listAs<CoreEvent>(api, 'events');
    while (now.length !== before) {
      before = now.length;
      await settle();
      now = listAs<CoreEvent>(api, 'events');
    }
    return now;
  };
  return { clock, events, written };
}

await it('counts up what says the same, and writes anew what does not', async () => {
  const { events, written } = recorder();
  const subject = { kind: 'Pod', name: 'p', namespace: 'default', uid: '1' };
  events.record(subject, 'Warning', 'Unhealthy', 'no');
  events.record(subject, 'Warning', 'Unhealthy', 'no');
  events.record({ ...subject, fieldPath: 'spec.containers{a}' }, 'Warning', 'Unhealthy', 'no');
  const counts = (await written()).map((event) => event.count);
  assert.deepEqual(counts, [2, 1]);
});

await it('keeps a flood about one object from filling the store, and no other object from being told of', async () => {
  const { clock, events, written } = recorder();
  const loud = { kind: 'Pod', name: 'loud', namespace: 'default', uid: '1' };
  for (let i = 0; i < 5000; i += 1) events.record(loud, 'Warning', 'Unhealthy', `failure ${i}`);
  for (let i = 0; i < 3000; i += 1)
    events.record(
      { kind: 'Pod', name: `p${i}`, namespace: 'default', uid: `u${i}` },
      'Normal',
      'Started',
      'up',
    );
  const all = await written();
  const aboutLoud = (list: CoreEvent[]): CoreEvent[] =>
    list.filter((event) => event.involvedObject?.name === 'loud');
  assert.equal(all.length - aboutLoud(all).length, 3000);
  assert.equal(aboutLoud(all).length, 25);
  await clock.advance(5 * 60_000);
  events.record(loud, 'Warning', 'Unhealthy', 'still');
  events.record(loud, 'Warning', 'Unhealthy', 'again');
  assert.equal(aboutLoud(await written()).at(-1)?.message, 'still', 'one more each five minutes');
});
