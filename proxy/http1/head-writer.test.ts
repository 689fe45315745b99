import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { test } from 'node:test';
import { Head } from '../message/head.ts';
import { FakeTransport } from '../testing/fake-transport.ts';
import { requestHead } from '../testing/request-head.ts';
import { writeRequestHead, writeResponseHead } from './head-writer.ts';

test('every status has its line, the second time as the first', () => {
  const transport = new FakeTransport();
  const head = new Head();
  for (const _ of [1, 2])
    for (let status = 100; status <= 999; status++) {
      head.status = status;
      writeResponseHead(transport, head, 'declared', 'none');
      const line = transport.take().toString('latin1');
      assert.match(line, new RegExp(`^HTTP/1\\.1 ${status} [^\\r\\n]*\\r\\n\\r\\n$`));
      if (status === 200 || status === 404 || status === 503) assert.match(line, phraseOf(status));
    }
});

function phraseOf(status: number): RegExp {
  return new RegExp(` ${STATUS_CODES[status]}\r`);
}

test('fields of all lengths stand a line each, whole', () => {
  const transport = new FakeTransport();
  // Around the length from which on the runtime copies.
  const lengths = [0, 1, 2, 3, 4, 31, 63, 64, 65, 200];
  const fields = lengths.map((length) => [`x-${length}`, 'v'.repeat(length)] as const);
  writeRequestHead(transport, requestHead({ path: '/p', authority: 'web', fields }), 'declared');
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`);
  assert.equal(transport.text(), `GET /p HTTP/1.1\r\nhost: web\r\n${lines.join('')}\r\n`);
});
