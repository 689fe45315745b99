import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveHead, takeHead } from './spare-heads.ts';

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
