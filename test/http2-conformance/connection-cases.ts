import { LARGEST_FRAME } from '../../proxy/http2/frames.ts';
import { frame, REQUEST, requestFrame, wordFrame } from '../../proxy/testing/http2-frames.ts';
import {
  type Case,
  hex,
  zeros,
  field,
  head,
  whole,
  open,
  setting,
  protocol,
  frameSize,
  compression,
  ok,
} from './case.ts';

/** RFC 9113 sections 3 to 5: the connection, frames, streams. */
export const CONNECTION_CASES: readonly Case[] = [
  // The connection begins.
  { section: '3.4', what: 'the preface, then SETTINGS', sends: [requestFrame(1)], verdict: ok },
  {
    section: '3.4',
    what: 'another preface',
    raw: true,
    sends: [Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')],
    verdict: 'closed',
  },
  {
    section: '3.4',
    what: 'no SETTINGS behind the preface',
    raw: true,
    sends: [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), requestFrame(1)],
    verdict: protocol,
  },
  // Frames.
  {
    section: '4.1',
    what: 'a frame of an unknown type',
    sends: [frame(0x16, 0, 0, zeros(8)), frame(0xff, 0xff, 5, 'x'), whole()],
    verdict: ok,
  },
  {
    section: '4.1',
    what: 'undefined flags',
    sends: [frame(6, 0xfe, 0, zeros(8)), head(1, 0xd7, REQUEST)],
    verdict: ok,
  },
  {
    section: '4.1',
    what: 'the reserved bit of the stream id',
    sends: [Buffer.concat([whole().subarray(0, 5), hex('80000001'), REQUEST])],
    verdict: ok,
  },
  {
    section: '4.2',
    what: 'DATA of the size that every peer takes',
    sends: [open(), frame(0, 1, 1, zeros(16_384))],
    verdict: ok,
  },
  {
    section: '4.2',
    what: 'DATA that is larger',
    sends: [open(), frame(0, 0, 1, zeros(LARGEST_FRAME + 1))],
    verdict: frameSize,
  },
  {
    section: '4.2',
    what: 'HEADERS that are larger',
    sends: [head(1, 5, REQUEST, zeros(LARGEST_FRAME))],
    verdict: frameSize,
  },
  {
    section: '4.3',
    what: 'a block that cannot be decoded',
    sends: [whole(hex('ffff'))],
    verdict: compression,
  },
  {
    section: '4.3',
    what: 'another stream’s HEADERS within a block',
    sends: [head(1, 1, REQUEST), requestFrame(3)],
    verdict: protocol,
  },
  {
    section: '4.3',
    what: 'another frame within a block',
    sends: [head(1, 1, REQUEST), frame(6, 0, 0, zeros(8))],
    verdict: protocol,
  },
  {
    section: '4.3',
    what: 'an unknown frame within a block',
    sends: [head(1, 1, REQUEST), frame(0x16, 0, 0, 'x')],
    verdict: protocol,
  },
  // States of a stream.
  { section: '5.1', what: 'idle: DATA', sends: [frame(0, 1, 1, 'x')], verdict: protocol },
  { section: '5.1', what: 'idle: RST_STREAM', sends: [wordFrame(3, 1, 8)], verdict: protocol },
  { section: '5.1', what: 'idle: WINDOW_UPDATE', sends: [wordFrame(8, 1, 8)], verdict: protocol },
  { section: '5.1', what: 'idle: CONTINUATION', sends: [frame(9, 4, 1, REQUEST)], verdict: protocol },
  { section: '5.1', what: 'idle: PRIORITY', sends: [frame(2, 0, 1, zeros(5)), whole()], verdict: ok },
  {
    section: '5.1',
    what: 'half-closed (remote): DATA',
    sends: [
      frame(1, 5, 1, Buffer.concat([REQUEST.subarray(0, 2), field(':path', '/wait'), REQUEST.subarray(3)])),
      frame(0, 1, 1, 'x'),
    ],
    verdict: { reset: 5, stream: 1 },
  },
  {
    section: '5.1',
    what: 'half-closed (remote): HEADERS',
    sends: [
      frame(1, 5, 1, Buffer.concat([REQUEST.subarray(0, 2), field(':path', '/wait'), REQUEST.subarray(3)])),
      head(1, 5, field('a', 'b')),
    ],
    verdict: { reset: 5, stream: 1 },
  },
  {
    section: '5.1',
    what: 'closed by its own reset: DATA',
    sends: [open(), wordFrame(3, 1, 8), frame(0, 0, 1, 'x')],
    verdict: { reset: 5, stream: 1 },
  },
  {
    section: '5.1',
    what: 'closed: DATA',
    sends: [requestFrame(1), frame(0, 1, 1, 'x')],
    verdict: { reset: 5, stream: 1 },
  },
  {
    section: '5.1',
    what: 'closed by our reset: DATA that was on its way',
    sends: [open(), wordFrame(8, 1, 0), frame(0, 0, 1, 'x'), frame(0, 1, 1, 'x')],
    verdict: { reset: 1, stream: 1 },
  },
  {
    section: '5.1',
    what: 'closed by its own reset: trailers and WINDOW_UPDATE',
    sends: [open(), wordFrame(3, 1, 8), wordFrame(8, 1, 5), head(1, 5, field('a', 'b')), requestFrame(3)],
    verdict: { answered: [3] },
  },
  {
    section: '5.1',
    what: 'closed: another request on it',
    sends: [requestFrame(1), requestFrame(1)],
    verdict: protocol,
  },
  {
    section: '5.1',
    what: 'closed: PRIORITY',
    sends: [requestFrame(1), frame(2, 0, 1, zeros(5)), requestFrame(3)],
    verdict: { answered: [1, 3] },
  },
  { section: '5.1.1', what: 'an even id', sends: [requestFrame(2)], verdict: protocol },
  {
    section: '5.1.1',
    what: 'an id below one that was used',
    sends: [requestFrame(5), requestFrame(3)],
    verdict: protocol,
  },
  {
    section: '5.1.1',
    what: 'ids that are left out',
    sends: [requestFrame(1), requestFrame(7)],
    verdict: { answered: [1, 7] },
  },
  {
    section: '5.1.2',
    what: 'more streams than are allowed',
    sends: Array.from({ length: 1_001 }, (_, i) => open(2 * i + 1)),
    verdict: { reset: 7, stream: 2_001 },
  },
  // Flow control.
  {
    section: '5.2',
    what: 'more DATA than the stream’s window',
    sends: [open(), ...Array.from({ length: 17 }, () => frame(0, 0, 1, zeros(16_384)))],
    verdict: { reset: 3, stream: 1 },
  },
  {
    section: '5.3',
    what: 'priorities mean nothing',
    sends: [head(1, 0x25, hex('00000003 ff'), REQUEST)],
    verdict: ok,
  },
  {
    section: '5.4.1',
    what: 'the GOAWAY of an error names the last stream',
    sends: [requestFrame(1), frame(6, 0, 1, zeros(8))],
    verdict: protocol,
  },
  {
    section: '5.4.2',
    what: 'a stream error leaves the others alone',
    sends: [open(), wordFrame(8, 1, 0), requestFrame(3)],
    verdict: { answered: [3] },
  },
  {
    section: '5.5',
    what: 'extensions: an unknown setting and an unknown frame',
    sends: [setting(0xf000, 1), frame(0x21, 0, 1, 'x'), whole()],
    verdict: ok,
  },
];
