import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Head } from '../message/head.ts';
import { Exchange } from '../message/message.ts';
import { NOBODY } from '../testing/nobody.ts';
import { Nowhere } from '../testing/nowhere.ts';
import { TimerWheel } from '../transport/timers.ts';
import { Attempt } from './attempt.ts';

const BODY = Buffer.alloc(20);

function keptAttempt(): Attempt {
  const attempt = new Attempt(new Exchange(NOBODY), new Nowhere(new TimerWheel()));
  attempt.keep(new Head(), false);
  attempt.keepData(BODY, 0, BODY.length, false);
  return attempt;
}

test('bytes that are sent again are not credited again, also when the answer has begun', () => {
  const attempt = keptAttempt();
  assert.equal(attempt.credit(6), 6);
  attempt.restart('retried');
  assert.equal(attempt.credit(4), 0);
  assert.equal(attempt.credit(4), 2);
  attempt.restart('moved');
  attempt.forget();
  assert.equal(attempt.credit(8), 0);
  assert.equal(attempt.credit(3), 3);
});

test('an attempt knows why it is sent again, and leaves others alone', () => {
  const attempt = keptAttempt();
  const other = keptAttempt();
  attempt.restart('moved');
  attempt.restart('retried');
  attempt.restart('retried');
  attempt.inform(5);
  assert.deepEqual([attempt.retried, attempt.moved, attempt.retries, attempt.inform(7)], [true, true, 2, 12]);
  assert.deepEqual([other.retried, other.moved, other.retries, other.inform(0)], [false, false, 0, 0]);
  attempt.hold(new Head());
  attempt.letGo();
  assert.deepEqual([attempt.held, other.held], [undefined, undefined]);
});
