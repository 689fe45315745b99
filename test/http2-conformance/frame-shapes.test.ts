import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { frame, REQUEST, requestFrame, wordFrame } from '../../proxy/testing/http2-frames.ts';
import type { Said } from '../testing/http2-reference.ts';
import { field, head, hex, open, zeros } from './case.ts';
import { hear } from './hear.ts';
import { serve, type Sent } from './serve.ts';

const FRAME_SIZE_ERROR = 6;
/** Where a frame's header has its flags and its stream's id. */
const FLAGS_AT = 4;
const ID_AT = 5;

interface Shape {
  readonly name: string;
  /** What comes before: a stream where the frame needs one. */
  readonly before: readonly Buffer[];
  readonly frame: Buffer;
  /** Flags that mean something in it; those of the priority and of padding move what stands behind. */
  readonly flags: number;
  /** Lengths that its payload may have (RFC 9113 section 6); none: any. */
  readonly fits?: (length: number) => boolean;
}

const SHAPES: readonly Shape[] = [
  { name: 'DATA', before: [open()], frame: frame(0, 1, 1, 'x'), flags: 0x09 },
  { name: 'HEADERS', before: [], frame: requestFrame(1), flags: 0x2d },
  {
    name: 'PRIORITY',
    before: [open()],
    frame: frame(2, 0, 1, zeros(5)),
    flags: 0,
    fits: (length) => length === 5,
  },
  {
    name: 'RST_STREAM',
    before: [open()],
    frame: wordFrame(3, 1, 8),
    flags: 0,
    fits: (length) => length === 4,
  },
  {
    name: 'SETTINGS',
    before: [],
    frame: frame(4, 0, 0, hex('000600010000')),
    flags: 1,
    fits: (length) => length % 6 === 0,
  },
  {
    name: 'an acknowledgement of SETTINGS',
    before: [],
    frame: frame(4, 1, 0),
    flags: 1,
    fits: (length) => length === 0,
  },
  { name: 'PING', before: [], frame: frame(6, 0, 0, 'eight by'), flags: 1, fits: (length) => length === 8 },
  {
    name: 'an answer to PING',
    before: [],
    frame: frame(6, 1, 0, 'eight by'),
    flags: 1,
    fits: (length) => length === 8,
  },
  {
    name: 'GOAWAY',
    before: [open()],
    frame: frame(7, 0, 0, Buffer.concat([zeros(8), Buffer.from('debug')])),
    flags: 0,
    fits: (length) => length >= 8,
  },
  {
    name: 'WINDOW_UPDATE',
    before: [open()],
    frame: wordFrame(8, 1, 8),
    flags: 0,
    fits: (length) => length === 4,
  },
  {
    name: 'WINDOW_UPDATE of the connection',
    before: [],
    frame: wordFrame(8, 0, 8),
    flags: 0,
    fits: (length) => length === 4,
  },
  { name: 'CONTINUATION', before: [head(1, 1, REQUEST)], frame: frame(9, 4, 1, field('a', 'b')), flags: 4 },
  { name: 'unknown', before: [open()], frame: frame(0x16, 0, 1, 'some'), flags: 0 },
];

/** All that a server says, and that a layer saw of it. */
function told(sent: Sent): unknown[] {
  const { said, transport, routed } = serve(sent);
  return [said, transport.ended, transport.destroyed, routed];
}

function changed(bytes: Buffer, at: number, bits: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! |= bits;
  return copy;
}

const goaways = (said: readonly Said[]): number[] =>
  said.flatMap((one) => (one.kind === 'goaway' ? [one.code] : []));

describe('RFC 9113 4.1: what a receiver must not look at', () => {
  for (const { name, before, frame: bytes, flags } of SHAPES) {
    const after = requestFrame(3);
    const plain = told({ sends: [...before, bytes, after] });

    test(`${name}: the reserved bit of its stream`, () => {
      assert.deepEqual(told({ sends: [...before, changed(bytes, ID_AT, 0x80), after] }), plain);
    });

    test(`${name}: flags that are not defined for it`, () => {
      for (let bit = 1; bit < 0x100; bit <<= 1) {
        if ((flags & bit) !== 0) continue;
        assert.deepEqual(
          told({ sends: [...before, changed(bytes, FLAGS_AT, bit), after] }),
          plain,
          `flag ${bit}`,
        );
      }
    });

    test(`${name}: where the network has cut it`, () => {
      for (let pieces = 1; pieces < bytes.length; pieces++)
        assert.deepEqual(told({ sends: [...before, bytes, after], pieces }), plain, `pieces of ${pieces}`);
    });
  }

  test('the reserved bit of an increment, and of what GOAWAY names', () => {
    const credit = wordFrame(8, 1, 8);
    const reserved = changed(credit, 9, 0x80);
    assert.deepEqual(told({ sends: [open(), reserved] }), told({ sends: [open(), credit] }));
    // Were it read as a number below 0, the streams of the client would be given up.
    const highest = frame(7, 0, 0, hex('80000005 00000000'));
    const { answers } = hear([highest, head(3, 5, hex('88'))]);
    assert.deepEqual(answers, { 1: 'begun', 3: 'whole', 5: 'begun' });
  });
});

describe('RFC 9113 4.2 and 6: frames of another length', () => {
  for (const { name, before, frame: bytes, fits } of SHAPES.filter((shape) => shape.fits !== undefined)) {
    test(name, () => {
      for (let length = 0; length <= 24; length++) {
        const [type = 0, flags = 0] = bytes.subarray(3, 5);
        // Ones: an increment of zero is another error.
        const sends = [...before, frame(type, flags, bytes.readUInt32BE(ID_AT), Buffer.alloc(length, 1))];
        const expected = fits!(length) ? [] : [FRAME_SIZE_ERROR];
        assert.deepEqual(goaways(serve({ sends }).said), expected, `${length} bytes`);
      }
    });
  }

  for (const [name, type, flags, room] of [
    ['DATA with padding', 0, 0x09, 1],
    ['HEADERS with padding', 1, 0x0d, 1],
    ['HEADERS with a priority', 1, 0x25, 5],
    ['HEADERS with both', 1, 0x2d, 6],
  ] as const) {
    test(`${name} that is too short for them`, () => {
      for (let length = 0; length < room; length++) {
        const sends = [...(type === 0 ? [open()] : []), frame(type, flags, 1, zeros(length))];
        assert.deepEqual(goaways(serve({ sends }).said), [1], `${length} bytes`);
      }
    });
  }

  test('padding of each length that a frame may have', () => {
    for (let padding = 0; padding < 256; padding++) {
      const length = Buffer.from([padding]);
      const data = frame(0, 0x09, 1, Buffer.concat([length, Buffer.from('x'), zeros(padding)]));
      const trailing = head(3, 0x0d, length, REQUEST, zeros(padding));
      const answered = serve({ sends: [open(), data, trailing] }).said.flatMap((one) =>
        one.kind === 'headers' ? [one.id] : [],
      );
      assert.deepEqual(answered, [1, 3], `${padding} bytes`);
    }
  });
});
