import assert from 'node:assert/strict';
import { test } from 'node:test';

import { service } from './testing/fixture.ts';
import { Views } from './views.ts';

test('a computation that throws keeps its value, is told of, and runs again with what it reads; others go on', () => {
  const runs: (() => void)[] = [];
  const failed: string[] = [];
  const views = new Views(
    (run) => runs.push(run),
    (key, error) => failed.push(`${key}: ${(error as Error).message}`),
  );
  const flush = (): void => {
    for (const run of runs.splice(0)) run();
  };
  const ipOf = (picky: boolean) => ({
    compute: (cluster: Parameters<Parameters<typeof views.once>[0]>[0]) => {
      const ip = cluster.service('shop', 'web')?.spec?.clusterIP;
      if (picky && ip === 'odd') throw new Error('what an address');
      return ip;
    },
    equal: Object.is,
  });
  let told = 0;
  const picky = views.watch('picky', ipOf(true), () => told++);
  const other = views.watch('other', ipOf(false), () => told++);
  const put = (clusterIP: string): void => {
    views.state.setService('shop/web', service('web', [], { spec: { clusterIP } }));
    flush();
  };
  put('10.0.0.1');
  put('odd');
  assert.deepEqual([picky.value, other.value, told], ['10.0.0.1', 'odd', 3]);
  assert.deepEqual(failed, ['picky: what an address']);
  put('10.0.0.2');
  assert.deepEqual([picky.value, other.value, told], ['10.0.0.2', '10.0.0.2', 5]);
});
