import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quietest } from './quietest.ts';

const IDLE = { activeStreams: 0, draining: false, ready: true, heardAt: 5 };

test('of connections without a stream the one that was heard longest ago', () => {
  const oldest = { ...IDLE, heardAt: 2 };
  assert.equal(quietest([IDLE, oldest, { ...IDLE, heardAt: 3 }]), oldest);
});

test('none that is busy, has not spoken yet, or goes already', () => {
  const others = [{ activeStreams: 1 }, { ready: false }, { draining: true }];
  const unfit = others.map((other) => ({ ...IDLE, heardAt: 1, ...other }));
  assert.equal(quietest([...unfit, IDLE]), IDLE);
  assert.equal(quietest(unfit), undefined);
});
