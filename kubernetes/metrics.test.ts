import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { registerReadings } from './metrics.ts';

test('readings are worked out at each scrape, and leave what has the same name alone', async () => {
  const registry = new Registry();
  let value = 1;
  const level = { name: 'level', help: 'How high', type: 'gauge' } as const;
  registerReadings(registry, () => [
    { ...level, value },
    { name: 'steps_total', help: 'How many', type: 'counter', value: 2 * value },
  ]);
  registerReadings(registry, () => [{ ...level, help: 'Another', value: 99 }]);
  const first = await registry.metrics();
  assert.match(first, /^# TYPE level gauge$/m);
  assert.match(first, /^# TYPE steps_total counter$/m);
  assert.match(first, /^level 1$/m);
  assert.match(first, /^steps_total 2$/m);
  value = 7;
  const second = await registry.metrics();
  assert.match(second, /^level 7$/m);
  assert.match(second, /^steps_total 14$/m);
});
