import assert from 'node:assert/strict';
import { HpackDecoder } from '../../../proxy/http2/hpack-decoder.ts';
import { HpackEncoder } from '../../../proxy/http2/hpack-encoder.ts';
import { Kind } from '../../../proxy/http2/hpack-table.ts';
import { ReferenceDecoder, type ReferenceField } from '../../testing/hpack-reference.ts';
import { hex, latin1, type FuzzTarget } from '../target.ts';

function decode(decoder: HpackDecoder, block: Buffer): ReferenceField[] | undefined {
  const fields: ReferenceField[] = [];
  // In the middle of something larger: a look over the edge would find other bytes.
  const around = Buffer.concat([Buffer.alloc(7, 0xff), block, Buffer.alloc(7, 0x82)]);
  const isGood = decoder.decode(around, 7, 7 + block.length, {
    field(kind, _badValue, sensitive, nameBuffer, nameStart, nameEnd, valueBuffer, valueStart, valueEnd) {
      // An upper-case letter makes a name malformed for good: its entry in the table keeps that, though not the letter.
      const isMalformed = kind === Kind.malformed;
      const name = isMalformed ? MALFORMED : sendableName(nameBuffer.toString('latin1', nameStart, nameEnd));
      const value = valueBuffer.toString('latin1', valueStart, valueEnd);
      fields.push({ name, value, sensitive });
    },
  });
  return isGood ? fields : undefined;
}

/** The input is a sequence of blocks of one connection, each behind its length in a byte. */
function blocksOf(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + (bytes[at] ?? 0);
    blocks.push(bytes.subarray(at + 1, end));
    at = end;
  }
  return blocks;
}

function encode(encoder: HpackEncoder, fields: readonly ReferenceField[]): Buffer {
  const room = fields.reduce((sum, { name, value }) => sum + name.length + value.length + 16, 16);
  const out = Buffer.alloc(room);
  encoder.begin(out, 0);
  for (const { name, value, sensitive } of fields) {
    const [n, v] = [latin1(name), latin1(value)];
    encoder.field(sensitive, n, 0, n.length, v, 0, v.length);
  }
  assert.ok(encoder.position <= room, 'the encoder writes beyond the room that it asks for');
  return out.subarray(0, encoder.position);
}

/** What stands for names that no HTTP/2 message may have. */
const MALFORMED = '(malformed)';

/** Pseudo-headers that nobody knows make a head malformed, however they are written: a table may keep them in lower case. */
function sendableName(name: string): string {
  if (name.startsWith(':')) return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  return /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) ? name : MALFORMED;
}

const blocks = (...list: string[]): Buffer =>
  Buffer.concat(list.map(hex).flatMap((block) => [Buffer.from([block.length]), block]));

/** HPACK: decoded as RFC 7541 says, and encoded so that a decoder by the RFC reads the same. */
export const hpack: FuzzTarget = {
  name: 'hpack',
  seeds: [
    blocks('828684410f7777772e6578616d706c652e636f6d', '828684be58086e6f2d6361636865'),
    blocks('828684418cf1e3c2e5f23a6ba0ab90f4ff', '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf'),
    blocks(
      '3fe101488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff',
      '4883640effc1c0bf',
    ),
    blocks('2080', '3fe11f', '100870617373776f726406736563726574', '0f0d0161'),
    blocks('40016101620001630164', 'be', '20bf', '3fe01f400161017a'),
  ],
  words: [
    '82',
    'be',
    'bf',
    'ff',
    '20',
    '3fe11f',
    '3fe01f',
    '40',
    '400161',
    '0161',
    '10',
    '8cf1e3c2e5f23a6ba0ab90f4ff',
    '7f8100',
    'ff80808001',
  ].map(hex),
  fuzz(bytes) {
    const decoder = new HpackDecoder();
    const reference = new ReferenceDecoder();
    const encoder = new HpackEncoder();
    const reader = new ReferenceDecoder();
    for (const block of blocksOf(bytes)) {
      const fields = decode(decoder, block);
      const expected = reference
        .decode(block)
        ?.map((field) => ({ ...field, name: sendableName(field.name) }));
      assert.deepEqual(fields, expected, `the block ${block.toString('hex')}`);
      if (fields === undefined) return;
      // As the connection does: a head with a malformed name is passed on to nobody.
      const sendable = fields.filter(({ name }) => name !== MALFORMED);
      const again = reader.decode(encode(encoder, sendable));
      assert.deepEqual(again?.map(withoutMark), sendable.map(withoutMark));
      sendable.forEach((field, i) =>
        assert.ok(!field.sensitive || again?.[i]?.sensitive, 'a secret is compressed'),
      );
      // Any block may be followed by a smaller table.
      if (block.length % 5 === 0) encoder.setLimit((block[0] ?? 0) * 20);
    }
  },
};

function withoutMark({ name, value }: ReferenceField): readonly [string, string] {
  return [name, value];
}
