import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from './durations.ts';
import { UserError } from './errors.ts';

test('durations need a number and a unit', () => {
  assert.equal(parseDuration('500ms', 'for'), 500);
  assert.equal(parseDuration('20s', 'for'), 20_000);
  assert.equal(parseDuration('1.5m', 'for'), 90_000);
  for (const bad of ['20', 's', '-1s', '1d', '1 s', '']) {
    assert.throws(
      () => parseDuration(bad, 'for'),
      (error) => error instanceof UserError && error.message.includes('--for'),
    );
  }
});
