import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { huffmanEncode } from '../testing/huffman-encode.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { FieldTarget } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { decodeHuffman, huffmanCodes, maxDecodedLength } from './huffman.ts';

type Field = [name: string, value: string];

class Fields implements FieldTarget {
  readonly list: Field[] = [];
  readonly sensitive: boolean[] = [];

  field(
    _kind: number,
    _bad: boolean,
    sensitive: boolean,
    nb: Buffer,
    ns: number,
    ne: number,
    vb: Buffer,
    vs: number,
    ve: number,
  ): void {
    this.list.push([nb.toString('latin1', ns, ne), vb.toString('latin1', vs, ve)]);
    this.sensitive.push(sensitive);
  }
}

function decode(decoder: HpackDecoder, block: Buffer): Field[] | undefined {
  const fields = new Fields();
  return decoder.decode(block, 0, block.length, fields) ? fields.list : undefined;
}

function encode(encoder: HpackEncoder, fields: readonly Field[], sensitive = false): Buffer {
  const out = Buffer.alloc(64 + fields.reduce((n, [name, value]) => n + name.length + value.length + 32, 0));
  encoder.begin(out, 0);
  for (const [name, value] of fields) {
    const n = Buffer.from(name, 'latin1');
    const v = Buffer.from(value, 'latin1');
    encoder.field(sensitive, n, 0, n.length, v, 0, v.length);
  }
  return Buffer.from(out.subarray(0, encoder.position));
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const request = (path: string, scheme: string, authority: string): Field[] => [
  [':method', 'GET'],
  [':scheme', scheme],
  [':path', path],
  [':authority', authority],
];
const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
const setCookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

describe('HPACK', () => {
  test('RFC 7541 C.2: single fields', () => {
    const one = (block: string) => decode(new HpackDecoder(), hex(block));
    assert.deepEqual(one('400a637573746f6d2d6b65790d637573746f6d2d686561646572'), [
      ['custom-key', 'custom-header'],
    ]);
    assert.deepEqual(one('040c2f73616d706c652f70617468'), [[':path', '/sample/path']]);
    assert.deepEqual(one('100870617373776f726406736563726574'), [['password', 'secret']]);
    assert.deepEqual(one('82'), [[':method', 'GET']]);
  });

  const requests: Field[][] = [
    request('/', 'http', 'www.example.com'),
    [...request('/', 'http', 'www.example.com'), ['cache-control', 'no-cache']],
    [...request('/index.html', 'https', 'www.example.com'), ['custom-key', 'custom-value']],
  ];
  for (const [section, blocks] of [
    [
      'C.3',
      [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
    ],
    [
      'C.4',
      [
        '828684418cf1e3c2e5f23a6ba0ab90f4ff',
        '828684be5886a8eb10649cbf',
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      ],
    ],
  ] as const) {
    test(`RFC 7541 ${section}: requests on one connection`, () => {
      const decoder = new HpackDecoder();
      assert.deepEqual(
        blocks.map((block) => decode(decoder, hex(block))),
        requests,
      );
    });
  }

  test('RFC 7541 C.6: responses with Huffman and eviction', () => {
    const decoder = new HpackDecoder();
    const common: Field[] = [
      ['cache-control', 'private'],
      ['date', date],
      ['location', 'https://www.example.com'],
    ];
    // The examples have a table of 256 bytes: told to the decoder in front.
    const size = '3fe101';
    const blocks = [
      `${size}488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3`,
      '4883640effc1c0bf',
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    ];
    assert.deepEqual(
      blocks.map((block) => decode(decoder, hex(block))),
      [
        [[':status', '302'], ...common],
        [[':status', '307'], ...common],
        [
          [':status', '200'],
          ['cache-control', 'private'],
          ['date', date.replace(':21 ', ':22 ')],
          ['location', 'https://www.example.com'],
          ['content-encoding', 'gzip'],
          ['set-cookie', setCookie],
        ],
      ],
    );
  });

  test('the Huffman code is complete, and every byte string comes back', () => {
    assert.equal(
      huffmanCodes().reduce((sum, { bits }) => sum + 2 ** -bits, 0),
      1,
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const coded = huffmanEncode(Buffer.from(bytes));
        const out = Buffer.alloc(maxDecodedLength(coded.length) + 8);
        assert.equal(decodeHuffman(coded, 0, coded.length, out, 0), bytes.length);
        assert.deepEqual(out.subarray(0, bytes.length), Buffer.from(bytes));
      }),
    );
  });

  for (const [what, block] of [
    ['an index of 0', '80'],
    ['an index beyond the tables', 'be'],
    ['an integer cut off', 'ff'],
    ['an integer without end', 'ffffffffffff7f'],
    ['a string cut off', '000561'],
    ['a size above the limit', '3fe21f'],
    ['a size update behind a field', '8220'],
    ['Huffman padding of zeros', '00018f0000'.replace('018f', '8118')],
    ['Huffman padding of a byte', '0082f8ff00'],
    ['EOS inside a string', '0084ffffffff00'],
  ] as const) {
    test(`${what} is refused`, () => assert.equal(decode(new HpackDecoder(), hex(block)), undefined));
  }

  const names = fc.constantFrom(
    ':path',
    'accept',
    'x-a',
    'x-b',
    'authorization',
    'content-length',
    'x-very-long-name-of-a-field',
  );
  const values = fc.oneof(
    fc.constantFrom('', 'a', '/', 'gzip, deflate', 'same value'),
    fc.string({ unit: 'binary-ascii', maxLength: 700 }),
  );
  const blocks = fc.array(fc.array(fc.tuple(names, values), { maxLength: 12 }), { maxLength: 30 });

  test('what one side encodes the other decodes, over many blocks and changes of the table size', () => {
    const sizes = fc.array(fc.constantFrom(-1, -1, 0, 64, 300, 4096, 65_536), { maxLength: 30 });
    fc.assert(
      fc.property(blocks, sizes, (list, changes) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        list.forEach((fields, i) => {
          const change = changes[i] ?? -1;
          if (change >= 0) encoder.setLimit(change);
          assert.deepEqual(decode(decoder, encode(encoder, fields)), fields);
        });
      }),
    );
  });

  test('a field that repeats becomes one byte; a secret never enters a table', () => {
    const encoder = new HpackEncoder();
    const fields: Field[] = [['x-request-source', 'the same every time']];
    const sizes = [1, 2, 3].map(() => encode(encoder, fields).length);
    assert.ok((sizes[0] ?? 0) > 30 && sizes[2] === 1, String(sizes));
    for (let i = 0; i < 3; i++) {
      const secret = encode(encoder, [['x-token', 'secret']], true);
      assert.equal(secret[0], 0x10);
      assert.equal((encode(encoder, [['authorization', 'Bearer x']])[0] ?? 0) & 0xf0, 0x10);
      const fields2 = new Fields();
      new HpackDecoder().decode(secret, 0, secret.length, fields2);
      assert.deepEqual(fields2.sensitive, [true]);
    }
  });

  test('no bytes make the decoder throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 })), (list) => {
        const decoder = new HpackDecoder();
        for (const block of list) if (decode(decoder, Buffer.from(block)) === undefined) return;
      }),
    );
  });
});
