import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Head } from '../message/head.ts';
import { forgetRequest, keepRequest } from './kept-request.ts';

const BODY = Buffer.from('of somebody else');

test('a request that is kept has nothing of the one that was kept in its place', () => {
  const first = keepRequest(new Head(), true);
  first.add(BODY, 0, 2);
  first.add(BODY, 3, BODY.length);
  first.bodyBytes = BODY.length;
  first.credited = 2;
  first.trailers = new Head();
  const { body } = first;
  forgetRequest(first);
  // Who is sending it still may go on.
  assert.equal(Buffer.concat(body).toString(), 'ofsomebody else');
  const second = keepRequest(new Head(), false);
  assert.equal(second, first, 'one is used for many requests');
  const { head, ...rest } = second;
  assert.equal(head?.count, 0);
  assert.deepEqual(rest, { body: [], bodyBytes: 0, trailers: undefined, ended: false, credited: 0 });
  const third = keepRequest(new Head(), false);
  assert.notEqual(third, second);
  third.add(BODY, 0, 2);
  assert.deepEqual(second.body, []);
});
