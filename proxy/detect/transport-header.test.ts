import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { HeaderSchema } from '../../api/proto/gen/linkerd/transport-header_pb.js';
import {
  MAX_TRANSPORT_HEADER,
  TransportHeaderReader,
  TransportHeaderStatus,
  encodeTransportHeader,
} from './transport-header.ts';
import type { TransportHeader } from './transport-header.ts';

const PREFACE = 'transport.l5d.io/v1\r\n\r\n';
const protocols = ['http1', 'http2', undefined] as const;
const headers = fc.record({
  port: fc.integer({ min: 0, max: 65_535 }),
  name: fc.stringMatching(/^[a-z0-9.-]{0,253}$/),
  protocol: fc.constantFrom(...protocols),
});

/** The same message by the generated code. */
function generated(header: TransportHeader): Buffer {
  const { port, name, protocol } = header;
  const kind = protocol === 'http1' ? { case: protocol, value: {} } : { case: 'http2' as const, value: {} };
  const message = create(HeaderSchema, {
    port,
    name,
    ...(protocol === undefined ? {} : { sessionProtocol: { kind } }),
  });
  return frame(Buffer.from(toBinary(HeaderSchema, message)));
}

function frame(body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([Buffer.from(PREFACE), length, body]);
}

function read(...pieces: Buffer[]): { reader: TransportHeaderReader; last: number } {
  const reader = new TransportHeaderReader();
  let last: number = TransportHeaderStatus.more;
  for (const piece of pieces) last = reader.push(piece, 0, piece.length);
  return { reader, last };
}

describe('transport header', () => {
  test('the bytes that a Linkerd proxy sends', () => {
    const bytes = encodeTransportHeader({
      port: 8080,
      name: 'web.shop.svc.cluster.local',
      protocol: 'http2',
    });
    assert.equal(
      bytes.toString('hex'),
      `${Buffer.from(PREFACE).toString('hex')}0000002308903f121a${Buffer.from('web.shop.svc.cluster.local').toString('hex')}1a021200`,
    );
  });

  test('is what the generated code writes, and is read back at every split, with bytes behind it', () => {
    fc.assert(
      fc.property(headers, fc.nat(), (header, at) => {
        const bytes = encodeTransportHeader(header);
        assert.deepEqual(bytes, generated(header));
        const all = Buffer.concat([bytes, Buffer.from('GET /')]);
        const split = at % bytes.length;
        const { reader, last } = read(all.subarray(0, split), all.subarray(split));
        assert.deepEqual(reader.header, { ...header });
        assert.equal(split + last, bytes.length);
      }),
    );
  });

  test('a session protocol that comes twice: the second adds to the first', () => {
    const twice = frame(Buffer.from('1a0212001a00', 'hex'));
    assert.equal(read(twice).reader.header?.protocol, 'http2');
  });

  test('unknown fields are skipped', () => {
    const extra = Buffer.from([
      0x08, 80, 0x78, 1, 0x25, 1, 2, 3, 4, 0x31, 1, 2, 3, 4, 5, 6, 7, 8, 0x6a, 2, 9, 9,
    ]);
    assert.deepEqual(read(frame(extra)).reader.header, { port: 80, name: '', protocol: undefined });
  });

  for (const [what, bytes] of [
    ['another preface', Buffer.from('transport.l5d.io/v2\r\n\r\n')],
    [
      'a length that nobody needs',
      Buffer.concat([Buffer.from(PREFACE), Buffer.from([0, 0, (MAX_TRANSPORT_HEADER >> 8) + 1, 0])]),
    ],
    ['a port above 65535', frame(Buffer.from([0x08, 0x80, 0x80, 0x04]))],
    ['a negative port', frame(Buffer.from('08ffffffffffffffffff01', 'hex'))],
    ['a varint that does not end', frame(Buffer.from([0x08, 0xff]))],
    ['a name cut off', frame(Buffer.from([0x12, 5, 97]))],
    ['a name with a path', frame(Buffer.from([0x12, 3, 97, 47, 98]))],
    ['a name with NUL', frame(Buffer.from([0x12, 2, 97, 0]))],
    ['a session protocol that breaks off', frame(Buffer.from('1a0225000850', 'hex'))],
    ['a member of the session protocol that breaks off', frame(Buffer.from('1a030a01ff', 'hex'))],
    ['a field of another type than it has', frame(Buffer.from('0a02ff74', 'hex'))],
    ['a group', frame(Buffer.from([0x0b]))],
    ['field number 0', frame(Buffer.from([0x00, 0x00]))],
  ] as const) {
    test(`${what} is refused`, () => {
      const { reader, last } = read(bytes);
      assert.equal(last, TransportHeaderStatus.malformed);
      assert.notEqual(reader.error, '');
    });
  }

  test('it may have so many bytes, and its name as many as one of DNS', () => {
    const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, n >> 7]);
    const field = (number: number, n: number): Buffer =>
      Buffer.from([(number << 3) | 2, ...varint(n), ...Buffer.alloc(n, 'a')]);
    // A field of later versions, which is skipped.
    const padded = (bytes: number): Buffer =>
      Buffer.concat([Buffer.from([0x08, 80]), field(15, bytes - 2 - 3)]);
    const named = (length: number): Buffer => Buffer.concat([Buffer.from([0x08, 80]), field(2, length)]);
    for (const [fits, tooMuch] of [
      [padded(MAX_TRANSPORT_HEADER), padded(MAX_TRANSPORT_HEADER + 1)],
      [named(253), named(254)],
    ] as const) {
      assert.equal(read(frame(fits)).reader.header?.port, 80);
      assert.equal(read(frame(tooMuch)).last, TransportHeaderStatus.malformed);
    }
  });

  test('no bytes make it throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (body) => void read(frame(Buffer.from(body)))));
  });
});
