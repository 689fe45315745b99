import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_FIELDS } from './message.ts';
import { giveHead, takeHead, takeHeadFor } from './spare-heads.ts';

test('a head belongs to one owner at a time: who is called meanwhile gets another', () => {
  const outer = takeHead();
  const inner = takeHead();
  assert.notEqual(inner, outer);
  giveHead(inner);
  assert.notEqual(takeHead(), outer);
  giveHead(inner);
  giveHead(outer);
});

test('the head that was given back last is taken first', () => {
  const [first, second] = [takeHead(), takeHead()];
  giveHead(first);
  giveHead(second);
  assert.equal(takeHead(), second);
  assert.equal(takeHead(), first);
});

test('a message of usual size is kept in a small head, a large one in one that takes all that a message may have; each serves again', () => {
  const [small, large] = [takeHeadFor(10), takeHeadFor(MAX_FIELDS)];
  assert.equal(large.capacity, MAX_FIELDS);
  assert.ok(small.capacity < MAX_FIELDS);
  for (let fields = 0; fields <= MAX_FIELDS; fields++) {
    const head = takeHeadFor(fields);
    assert.ok(head.capacity >= Math.min(fields + 32, MAX_FIELDS), `${fields} fields`);
    giveHead(head);
  }
  giveHead(small);
  giveHead(large);
  assert.equal(takeHeadFor(1), small);
  assert.equal(takeHead(), large);
});
