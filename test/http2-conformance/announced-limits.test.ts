import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LARGEST_FRAME } from '../../proxy/http2/frames.ts';
import { MAX_HEADER_LIST } from '../../proxy/http2/head-decoder.ts';
import { MAX_BLOCK_BYTES } from '../../proxy/http2/hpack-decoder.ts';
import { MAX_FIELDS } from '../../proxy/message/head.ts';
import { frame, REQUEST, requestFrame } from '../../proxy/testing/http2-frames.ts';
import { field, head, hex, zeros } from './case.ts';
import { serve } from './serve.ts';

/** What RFC 9113 section 6.5.2 adds to each field of a list, and the list of `REQUEST`, whose names and values have 38 bytes. */
const OVERHEAD = 32;
const REQUEST_LIST = 38 + 4 * OVERHEAD;
/** A field of 4,000 bytes as HPACK's table counts it: `x`, which fits into the table once. */
const LARGE = 4_000;
const VALUE = Buffer.alloc(LARGE - OVERHEAD - 1, 'v');

/** A length of HPACK, of more than 126 bytes and less than 16 KiB. */
const long = (n: number): Buffer => Buffer.from([127, ((n - 127) & 127) | 128, (n - 127) >> 7]);
/** Put into the table, and then named by one byte as often as one likes. */
const INSERTED = Buffer.concat([hex('400178'), long(VALUE.length), VALUE]);
const NAMED = hex('be');

/** HEADERS and as many CONTINUATIONs as the block needs. */
function inFrames(block: Buffer): Buffer[] {
  const size = 16_384;
  const frames: Buffer[] = [];
  for (let at = 0; at < block.length; at += size) {
    const last = at + size >= block.length;
    const part = block.subarray(at, at + size);
    frames.push(at === 0 ? frame(1, last ? 5 : 1, 1, part) : frame(9, last ? 4 : 0, 1, part));
  }
  return frames;
}

/** What becomes of a request with that block, and of one behind it: a status each, or the code that ends the connection. */
function answersTo(block: Buffer): string[] {
  return serve({ sends: [...inFrames(block), requestFrame(3)] }).said.flatMap((one) => {
    if (one.kind === 'headers') return [one.fields[0] ?? ''];
    return one.kind === 'goaway' ? [`goaway ${one.code}`] : [];
  });
}

describe('what a server of ours announces holds to the byte', () => {
  test('a list of fields, however few bytes it takes on the wire', () => {
    const times = Math.floor((MAX_HEADER_LIST - REQUEST_LIST) / LARGE);
    const left = MAX_HEADER_LIST - REQUEST_LIST - times * LARGE - OVERHEAD - 1;
    const block = (more: number): Buffer =>
      Buffer.concat([
        REQUEST,
        INSERTED,
        ...Array.from({ length: times - 1 }, () => NAMED),
        hex('000179'),
        long(left + more),
        Buffer.alloc(left + more, 'v'),
      ]);
    assert.ok(block(1).length < MAX_HEADER_LIST / 8);
    assert.deepEqual(answersTo(block(0)), [':status: 204', ':status: 204']);
    assert.deepEqual(answersTo(block(1)), [':status: 431', ':status: 204']);
  });

  test('fields of a list', () => {
    const fields = (n: number): Buffer =>
      Buffer.concat([REQUEST, ...Array.from({ length: n }, () => field('a', 'b'))]);
    assert.deepEqual(answersTo(fields(MAX_FIELDS)), [':status: 204', ':status: 204']);
    assert.deepEqual(answersTo(fields(MAX_FIELDS + 1)), [':status: 431', ':status: 204']);
  });

  test('a block that never ends, by frames that each may come', () => {
    const block = (bytes: number): Buffer => {
      const filler = Math.floor((bytes - REQUEST.length) / (INSERTED.length + 1)) * (INSERTED.length + 1);
      const rest = bytes - REQUEST.length - filler;
      const unit = Buffer.concat([INSERTED, NAMED]);
      const units = Array.from({ length: filler / unit.length }, () => unit);
      return Buffer.concat([REQUEST, ...units, Buffer.alloc(rest, NAMED)]);
    };
    assert.deepEqual(answersTo(block(MAX_BLOCK_BYTES)), [':status: 431', ':status: 204']);
    assert.deepEqual(answersTo(block(MAX_BLOCK_BYTES + 1)), ['goaway 11']);
  });

  test('a frame, of DATA and of a head', () => {
    const data = (bytes: number): string[] =>
      serve({ sends: [head(1, 4, REQUEST), frame(0, 1, 1, zeros(bytes))] }).said.flatMap((one) =>
        one.kind === 'goaway' ? [`goaway ${one.code}`] : one.kind === 'headers' ? ['answered'] : [],
      );
    assert.deepEqual(data(LARGEST_FRAME), ['answered']);
    assert.deepEqual(data(LARGEST_FRAME + 1), ['goaway 6']);
  });
});
