import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { registerReadings } from './metrics.ts';

test('readings are worked out at each scrape, and leave what has the same name alone', async () => {
  const registry = new Registry();
  let value = 1;
  registerReadings(registry, () => [{ name: 'level', help: 'How high', value }]);
  registerReadings(registry, () => [{ name: 'level', help: 'Another', value: 99 }]);
  assert.match(await registry.metrics(), /^level 1$/m);
  value = 7;
  assert.match(await registry.metrics(), /^level 7$/m);
});
