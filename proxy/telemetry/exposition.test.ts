import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { exposition } from './exposition.ts';
import { Registry } from './registry.ts';

const READERS = 20;
/** Series enough for several slices. */
const SERIES = 2_000;

test('of all scrapes together a turn of the event loop makes one slice', async () => {
  const registry = new Registry();
  const family = registry.gauge('depth', 'How deep');
  for (let i = 0; i < SERIES; i++) family.cell({ place: String(i) }).set(i);
  const made = { texts: 0, slices: 0 };
  const read = async (): Promise<string> => {
    let text = '';
    for await (const slice of exposition(registry)) {
      made.slices++;
      text += slice;
    }
    made.texts++;
    return text;
  };
  const reading = Promise.all(Array.from({ length: READERS }, read));
  let most = 0;
  while (made.texts < READERS) {
    const before = made.slices;
    await nextTurn();
    most = Math.max(most, made.slices - before);
  }
  const [text, ...others] = await reading;
  assert.equal(text?.match(/^depth\{/gm)?.length, SERIES);
  for (const other of others) assert.equal(other, text);
  assert.ok(made.slices >= 3 * READERS, `${made.slices} slices`);
  assert.equal(most, 1);
});
