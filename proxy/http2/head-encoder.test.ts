import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setSpan, spanText } from '../bytes/span.ts';
import { Head } from '../message/head.ts';
import { requestHead } from '../testing/request-head.ts';
import { HeadDecoder } from './head-decoder.ts';
import { HeadEncoder } from './head-encoder.ts';

function headOf(method: string, scheme: string): Head {
  if (method === 'CONNECT') return requestHead({ method, path: '' });
  const head = requestHead({ method });
  setSpan(head.scheme, scheme);
  return head;
}

function responseHead(status: number): Head {
  const head = new Head();
  head.status = status;
  return head;
}

function encoded(encoder: HeadEncoder, kind: 'request' | 'response', head: Head): Buffer {
  const out = Buffer.alloc(1_024);
  return out.subarray(0, encoder.encode(kind, head, out, 0));
}

/** Indices of HPACK's static table as they stand in a block. */
const INDEXED = { GET: 0x82, POST: 0x83, http: 0x86, https: 0x87 } as const;

describe('methods and schemes of the static table', () => {
  for (const method of ['GET', 'POST'] as const)
    for (const scheme of ['http', 'https'] as const)
      test(`${method} and ${scheme} are a byte each, from the first request on and without a table`, () => {
        const encoder = new HeadEncoder(true);
        const first = encoded(encoder, 'request', headOf(method, scheme));
        assert.deepEqual([...first.subarray(0, 2)], [INDEXED[method], INDEXED[scheme]]);
        encoder.setTableLimit(0);
        const later = encoded(encoder, 'request', headOf(method, scheme));
        // The block begins with the table's new size.
        assert.deepEqual([...later.subarray(0, 3)], [0x20, INDEXED[method], INDEXED[scheme]]);
      });

  for (const [method, scheme] of [
    ['PUT', 'http'],
    ['GETS', 'http'],
    ['get', 'https'],
    ['GE', 'httpss'],
    ['POS', 'ftp'],
    ['CONNECT', 'http'],
  ] as const)
    test(`${method} and ${scheme} arrive as they are, again and again`, () => {
      const encoder = new HeadEncoder(true);
      const head = new Head();
      const decoder = new HeadDecoder(head, true);
      const sent = headOf(method, scheme);
      for (let i = 0; i < 4; i++) {
        const block = encoded(encoder, 'request', sent);
        assert.equal(decoder.decode(block, 0, block.length, head, 'request'), 'ok');
        assert.deepEqual([head.method, head.scheme].map(spanText), [sent.method, sent.scheme].map(spanText));
      }
    });
});

test('every status arrives', () => {
  const encoder = new HeadEncoder(true);
  const head = new Head();
  const decoder = new HeadDecoder(head, true);
  for (let status = 100; status <= 999; status++) {
    // 101 needs the field that it grants.
    if (status === 101) continue;
    const block = encoded(encoder, 'response', responseHead(status));
    assert.equal(decoder.decode(block, 0, block.length, head, 'response'), 'ok', `${status}`);
    assert.equal(head.status, status);
  }
});
