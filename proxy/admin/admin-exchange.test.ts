import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exchange } from '../message/message.ts';
import { NOBODY } from '../testing/nobody.ts';
import { requestHead } from '../testing/request-head.ts';
import { AdminExchange } from './admin-exchange.ts';

/** Sends a body in two pieces. */
function put(bytes: number): { status: number; read: number | undefined } {
  let status = 0;
  let read: number | undefined;
  const exchange = new AdminExchange(({ body }) => {
    read = body.length;
    return { status: 200, type: 'text/plain', body: 'read' };
  });
  const x = new Exchange({ ...NOBODY, responseHead: (_x, head) => void (status = head.status) });
  exchange.requestHead(x, requestHead({ method: 'PUT' }), false);
  const body = Buffer.alloc(bytes, 'x');
  exchange.requestData(x, body, 0, 1_000, false);
  exchange.requestData(x, body, 1_000, bytes, true);
  return { status, read };
}

test('a body of 4 KiB is read, one of a byte more is refused', () => {
  assert.deepEqual(put(4_096), { status: 200, read: 4_096 });
  assert.deepEqual(put(4_097), { status: 413, read: undefined });
});
