import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNetworks, DEFAULT_CLUSTER_NETWORKS, parseNetwork } from './cluster-networks.ts';

test('a network is an address and the length of its prefix', () => {
  assert.deepEqual(parseNetwork('10.0.0.0/8'), { ip: '10.0.0.0', prefixLength: 8 });
  assert.deepEqual(parseNetwork('fd00::/128'), { ip: 'fd00::', prefixLength: 128 });
  checkNetworks(DEFAULT_CLUSTER_NETWORKS);
});

for (const text of [
  '',
  '10.0.0.0',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0/8',
  'fd00::/129',
  '10.0.0.0/-1',
  'all/0',
]) {
  test(`${JSON.stringify(text)} is none, and is named`, () => {
    assert.throws(
      () => checkNetworks(['10.0.0.0/8', text]),
      new RegExp(`^TypeError: "${text}" is not a network`),
    );
  });
}
