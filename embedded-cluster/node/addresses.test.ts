import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AddressPool } from './addresses.ts';

await it('gives 253 addresses, says that there are no more, and gives one again when it comes back', async () => {
  const pool = new AddressPool('127.64.9');
  for (let i = 0; i < 253; i += 1) assert.notEqual(await pool.take(`pod-${i}`), undefined);
  assert.equal(await pool.take('late'), undefined);
  assert.match(pool.exhausted, /253 of the 253 of 127\.64\.9\.0\/24 are taken by pods/);
  let woken = 0;
  pool.onRelease(() => {
    woken += 1;
  });
  pool.release('pod-7');
  pool.release('pod-8');
  assert.equal(woken, 1);
  assert.equal(await pool.take('late'), '127.64.9.9');
});
