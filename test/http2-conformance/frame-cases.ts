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
  flowControl,
  frameSize,
  ok,
} from './case.ts';

/** RFC 9113 sections 6 and 7: each type of frame, and error codes. */
export const FRAME_CASES: readonly Case[] = [
  // DATA.
  {
    section: '6.1',
    what: 'padding',
    sends: [open(), frame(0, 9, 1, Buffer.concat([hex('03'), Buffer.from('ab'), zeros(3)]))],
    verdict: ok,
  },
  { section: '6.1', what: 'stream 0', sends: [frame(0, 0, 0, 'x')], verdict: protocol },
  {
    section: '6.1',
    what: 'padding as long as the frame',
    sends: [open(), frame(0, 9, 1, hex('01'))],
    verdict: protocol,
  },
  { section: '6.1', what: 'padding without its length', sends: [open(), frame(0, 9, 1)], verdict: protocol },
  // HEADERS.
  {
    section: '6.2',
    what: 'padding and priority',
    sends: [head(1, 0x2d, hex('02 00000000 10'), REQUEST, zeros(2))],
    verdict: ok,
  },
  { section: '6.2', what: 'stream 0', sends: [head(0, 5, REQUEST)], verdict: protocol },
  {
    section: '6.2',
    what: 'padding longer than the frame',
    sends: [frame(1, 0xd, 1, Buffer.concat([hex('07'), REQUEST]))],
    verdict: protocol,
  },
  // PRIORITY, RST_STREAM.
  { section: '6.3', what: 'PRIORITY on stream 0', sends: [frame(2, 0, 0, zeros(5))], verdict: protocol },
  {
    section: '6.3',
    what: 'PRIORITY of another length',
    sends: [open(), frame(2, 0, 1, zeros(4))],
    verdict: frameSize,
  },
  { section: '6.4', what: 'RST_STREAM on stream 0', sends: [wordFrame(3, 0, 8)], verdict: protocol },
  {
    section: '6.4',
    what: 'RST_STREAM of another length',
    sends: [open(), frame(3, 0, 1, zeros(3))],
    verdict: frameSize,
  },
  // SETTINGS.
  { section: '6.5', what: 'on a stream', sends: [frame(4, 0, 1)], verdict: protocol },
  {
    section: '6.5',
    what: 'an acknowledgement with a payload',
    sends: [frame(4, 1, 0, zeros(6))],
    verdict: frameSize,
  },
  {
    section: '6.5',
    what: 'a length that is no multiple of 6',
    sends: [frame(4, 0, 0, zeros(5))],
    verdict: frameSize,
  },
  { section: '6.5.2', what: 'ENABLE_PUSH of 2', sends: [setting(2, 2)], verdict: protocol },
  {
    section: '6.5.2',
    what: 'INITIAL_WINDOW_SIZE above 2^31 - 1',
    sends: [setting(4, 2 ** 31)],
    verdict: flowControl,
  },
  { section: '6.5.2', what: 'MAX_FRAME_SIZE below 2^14', sends: [setting(5, 16_383)], verdict: protocol },
  {
    section: '6.5.2',
    what: 'MAX_FRAME_SIZE of 2^24 - 1',
    sends: [setting(5, 2 ** 24 - 1), whole()],
    verdict: ok,
  },
  {
    section: '6.5.2',
    what: 'MAX_FRAME_SIZE above 2^24 - 1',
    sends: [setting(5, 2 ** 24)],
    verdict: protocol,
  },
  { section: '6.5.2', what: 'an unknown setting', sends: [setting(0x99, 1), whole()], verdict: ok },
  // PUSH_PROMISE, PING, GOAWAY.
  {
    section: '6.6',
    what: 'PUSH_PROMISE of a client',
    sends: [open(), frame(5, 4, 1, Buffer.concat([hex('00000002'), REQUEST]))],
    verdict: protocol,
  },
  { section: '6.7', what: 'on a stream', sends: [frame(6, 0, 1, zeros(8))], verdict: protocol },
  { section: '6.7', what: 'of another length', sends: [frame(6, 0, 0, zeros(6))], verdict: frameSize },
  {
    section: '6.7',
    what: 'an acknowledgement that nobody asked for',
    sends: [frame(6, 1, 0, 'unasked!'), whole()],
    verdict: ok,
  },
  { section: '6.8', what: 'on a stream', sends: [frame(7, 0, 1, zeros(8))], verdict: protocol },
  { section: '6.8', what: 'too short', sends: [frame(7, 0, 0, zeros(7))], verdict: frameSize },
  {
    section: '6.8',
    what: 'streams that are under way go on',
    sends: [open(), frame(7, 0, 0, zeros(8)), frame(0, 1, 1, 'x')],
    verdict: ok,
  },
  // WINDOW_UPDATE.
  {
    section: '6.9',
    what: 'an increment of 0 for the connection',
    sends: [wordFrame(8, 0, 0)],
    verdict: protocol,
  },
  {
    section: '6.9',
    what: 'an increment of 0 for a stream',
    sends: [open(), wordFrame(8, 1, 0)],
    verdict: { reset: 1, stream: 1 },
  },
  { section: '6.9', what: 'of another length', sends: [frame(8, 0, 0, zeros(3))], verdict: frameSize },
  {
    section: '6.9.1',
    what: 'a window of the connection above 2^31 - 1',
    sends: [wordFrame(8, 0, 2 ** 31 - 1)],
    verdict: flowControl,
  },
  {
    section: '6.9.1',
    what: 'a window of a stream above 2^31 - 1',
    sends: [open(), wordFrame(8, 1, 2 ** 31 - 1)],
    verdict: { reset: 3, stream: 1 },
  },
  {
    section: '6.9.2',
    what: 'SETTINGS that make a window too large',
    sends: [open(), wordFrame(8, 1, 1_000), setting(4, 2 ** 31 - 1)],
    verdict: flowControl,
  },
  // CONTINUATION.
  {
    section: '6.10',
    what: 'one block in three frames',
    sends: [head(1, 1, REQUEST), frame(9, 0, 1, field('a', 'b')), frame(9, 4, 1, field('c', 'd'))],
    verdict: ok,
  },
  {
    section: '6.10',
    what: 'stream 0',
    sends: [head(1, 1, REQUEST), frame(9, 4, 0, field('a', 'b'))],
    verdict: protocol,
  },
  {
    section: '6.10',
    what: 'another stream',
    sends: [head(1, 1, REQUEST), frame(9, 4, 3, field('a', 'b'))],
    verdict: protocol,
  },
  {
    section: '6.10',
    what: 'behind END_HEADERS',
    sends: [open(), frame(9, 4, 1, field('a', 'b'))],
    verdict: protocol,
  },
  {
    section: '6.10',
    what: 'behind DATA',
    sends: [open(), frame(0, 0, 1, 'x'), frame(9, 4, 1, field('a', 'b'))],
    verdict: protocol,
  },
  // Error codes.
  {
    section: '7',
    what: 'an unknown error code in RST_STREAM',
    sends: [open(), wordFrame(3, 1, 0xdead), requestFrame(3)],
    verdict: { answered: [3] },
  },
  {
    section: '7',
    what: 'an unknown error code in GOAWAY',
    sends: [open(), frame(7, 0, 0, hex('00000000 0000dead')), frame(0, 1, 1, 'x')],
    verdict: ok,
  },
];
