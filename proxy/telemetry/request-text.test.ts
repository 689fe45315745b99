import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldIdOf } from '../message/field-names.ts';
import { Head } from '../message/head.ts';
import { lastingField } from '../message/lasting-field.ts';
import { RequestText } from './request-text.ts';

/** Fields that name a trace or a request, the first before the second, and what is shown of each. */
const NAMING = [
  [
    'traceparent',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '0af7651916cd43dd8448eb211c80319c',
  ],
  ['b3', '80f198ee56343ba8-e457b5a2e4d86bd1-1', '80f198ee56343ba8'],
  ['x-b3-traceid', '463ac35c9f6413ad', '463ac35c9f6413ad'],
  ['X-Request-Id', 'order 66', 'order 66'],
  ['x-amzn-trace-id', 'Root=1-67891233-abcdef', 'Root=1-67891233-abcdef'],
] as const;

function traceIdOf(fields: readonly (readonly [name: string, value: string, shown: string])[]): string {
  const head = new Head();
  // Whichever counts stands last.
  for (const [name, value] of fields.toReversed()) {
    const bytes = Buffer.from(name);
    head.addLasting(fieldIdOf(bytes, 0, bytes.length), lastingField(name, value));
  }
  const text = new RequestText();
  text.take(head);
  return text.bytes.toString('latin1', text.agentEnd, text.traceIdEnd);
}

test('a request is named by its trace, else as the client or the load balancer before it has named it', () => {
  for (const [at, [, , shown]] of NAMING.entries()) assert.equal(traceIdOf(NAMING.slice(at)), shown);
  assert.equal(traceIdOf([]), '');
});

test('what is no trace context is shown as far as it goes', () => {
  for (const value of ['', '00', '00-', '00-abc']) {
    assert.equal(traceIdOf([['traceparent', value, '']]), value.slice(3));
  }
});
