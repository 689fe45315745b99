import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AddressPool } from './addresses.ts';
import { claimNetwork } from './network.ts';

await it('gives each cluster a network of its own and the same again after its release', async (t) => {
  const first = await claimNetwork();
  const second = await claimNetwork(first.prefix);
  t.after(() => second.release());
  assert.notEqual(second.prefix, first.prefix, 'a network that is taken is passed over');
  assert.match(first.firstAddress, /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d{1,3}\.1$/);
  await first.release();
  const again = await claimNetwork(first.prefix);
  t.after(() => again.release());
  assert.equal(again.prefix, first.prefix);
});

await it('gives addresses in turn, keeps what pods show, and none twice', async () => {
  const pool = new AddressPool('127.64.9');
  assert.equal(pool.adopt('127.64.9.2', 'a'), true);
  assert.equal(pool.adopt('127.64.9.2', 'b'), false);
  assert.equal(pool.adopt('127.64.8.7', 'b'), false);
  assert.equal(pool.adopt('127.64.9.1', 'b'), false);
  assert.equal(await pool.take('b'), '127.64.9.3');
  pool.release('b');
  assert.equal(await pool.take('c'), '127.64.9.4', 'an address that was given back rests');
  const taken = new Set<string | undefined>();
  for (let i = 0; i < 251; i += 1) taken.add(await pool.take(`pod-${i}`));
  assert.equal(taken.size, 251);
  assert.equal(await pool.take('one too many'), undefined);
});
