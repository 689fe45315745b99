import assert from 'node:assert/strict';
import { test } from 'node:test';
import { targetLabels } from './target-labels.ts';

test('an IPv6 address stands in brackets where a port follows it', () => {
  assert.deepEqual(targetLabels('10.0.0.1', 80), {
    target_addr: '10.0.0.1:80',
    target_ip: '10.0.0.1',
    target_port: '80',
  });
  assert.deepEqual(targetLabels('fd00::1', 80), {
    target_addr: '[fd00::1]:80',
    target_ip: 'fd00::1',
    target_port: '80',
  });
});
