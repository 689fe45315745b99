import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes } from '../errors.ts';
import type { Head } from '../message/head.ts';
import { errorHead } from './error-head.ts';

function fieldsOf(head: Head): string[] {
  return Array.from({ length: head.count }, (_, i) => {
    const name = head.nameBuffer[i]?.toString('latin1', head.nameStart[i], head.nameEnd[i]);
    return `${name}: ${head.value(i)}`;
  });
}

test('an answer of the proxy names its cause', () => {
  const head = errorHead(causes.failFast, false);
  assert.equal(head.status, 504);
  assert.deepEqual(fieldsOf(head), ['l5d-proxy-error: fail-fast']);
});

test('a gRPC client gets a status of gRPC, and a message that its library shows', () => {
  const head = errorHead(causes.failFast, true);
  assert.equal(head.status, 200);
  assert.deepEqual(fieldsOf(head), [
    'l5d-proxy-error: fail-fast',
    'content-type: application/grpc',
    'grpc-status: 14',
    'grpc-message: fail-fast',
  ]);
});
