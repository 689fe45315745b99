import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setCondition } from './conditions.ts';

const ready = { type: 'Ready', reason: 'Fine', message: 'all is well', observedGeneration: 1 } as const;
const time = (ms: number): string => new Date(ms).toISOString();

test('the transition time moves only when the status changes', () => {
  const first = setCondition([], { ...ready, status: 'True' }, 1000);
  assert.deepEqual(first, [{ ...ready, status: 'True', lastTransitionTime: time(1000) }]);
  const reworded = setCondition(
    first,
    { ...ready, status: 'True', message: 'better', observedGeneration: 2 },
    2000,
  );
  assert.equal(reworded[0]?.lastTransitionTime, time(1000));
  assert.equal(reworded[0]?.message, 'better');
  const moved = setCondition(reworded, { ...ready, status: 'False' }, 3000);
  assert.equal(moved[0]?.lastTransitionTime, time(3000));
});

test('nothing new gives back the same array, and others are left alone', () => {
  const other = {
    type: 'Other',
    status: 'True',
    reason: 'x',
    message: 'y',
    lastTransitionTime: time(1),
  } as const;
  const conditions = setCondition([other], { ...ready, status: 'True' }, 1000);
  assert.equal(setCondition(conditions, { ...ready, status: 'True' }, 9000), conditions);
  assert.equal(conditions[0], other);
});
