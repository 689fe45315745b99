import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldId } from './field-id.ts';
import { MAX_FIELDS } from './head.ts';
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

test('a small head takes as many fields as any, and keeps those that it had', () => {
  const head = takeHeadFor(1);
  const bytes = Buffer.alloc(2 * MAX_FIELDS, 'x');
  for (let i = 0; i < MAX_FIELDS; i++) {
    assert.ok(head.add((i % 20) as FieldId, bytes, i, i + 1, bytes, i + 1, i + 2), `field ${i}`);
    head.sensitive[i] = i % 2;
  }
  assert.equal(head.add(FieldId.other, bytes, 0, 1, bytes, 1, 2), false);
  assert.equal(head.count, MAX_FIELDS);
  for (let i = 0; i < MAX_FIELDS; i++) {
    const spans = [head.nameStart[i], head.nameEnd[i], head.valueStart[i], head.valueEnd[i]];
    assert.deepEqual([...spans, head.id[i], head.sensitive[i]], [i, i + 1, i + 1, i + 2, i % 20, i % 2]);
  }
  giveHead(head);
  assert.equal(takeHead(), head, 'it is a large one from now on');
});

test('a message of usual size is kept in a small head, a large one in one that takes all that a message may have; each serves again', () => {
  const [small, large] = [takeHeadFor(10), takeHeadFor(MAX_FIELDS)];
  assert.equal(large.capacity, MAX_FIELDS);
  assert.ok(small.capacity < MAX_FIELDS);
  assert.ok(takeHeadFor(8).nameStart.byteLength <= 64, 'V8 keeps it within the object');
  for (let fields = 0; fields <= MAX_FIELDS; fields++) {
    const head = takeHeadFor(fields);
    assert.ok(head.capacity >= Math.min(2 * fields, MAX_FIELDS), `${fields} fields: as many again by hops`);
    giveHead(head);
  }
  giveHead(small);
  giveHead(large);
  assert.equal(takeHeadFor(10), small);
  assert.equal(takeHead(), large);
});

test('bytes of a long message do not stay with the head, those of a usual one do', () => {
  const head = takeHeadFor(1);
  const [usual, long] = [1_000, 60_000];
  const kept = head.own(usual);
  giveHead(head);
  assert.equal(takeHeadFor(1).own(usual), kept);
  assert.ok(head.own(long).length >= long);
  giveHead(head);
  assert.ok(takeHeadFor(1).own(usual).length < long);
  giveHead(head);
});
