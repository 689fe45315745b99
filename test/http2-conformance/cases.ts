import { frame, REQUEST, requestFrame, wordFrame } from '../../proxy/testing/http2-frames.ts';

/** One thing that a client does to a server, and what RFC 9113 or RFC 7541 asks of the server. */
export interface Case {
  /** Section of RFC 9113; `HPACK` before one of RFC 7541. */
  readonly section: string;
  readonly what: string;
  /** What the client sends behind its preface and SETTINGS; `raw`: instead of them. */
  readonly sends: readonly Buffer[];
  readonly raw?: boolean;
  /** The server's side of it: in its order, of what `Said` calls it. See `Verdict`. */
  readonly verdict: Verdict;
}

/**
 * `answered`: streams that got a final head. `reset CODE`, `goaway CODE`: a stream error, a connection error. `ignored`: the connection goes on as if nothing had been
 * said. `closed`: without a word. `400`: the stream is answered so, and no layer sees the request.
 */
export type Verdict =
  | { readonly answered: readonly number[] }
  | { readonly reset: number; readonly stream: number }
  | { readonly goaway: number }
  | { readonly refused: number }
  | 'ignored'
  | 'closed';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const zeros = (n: number): Buffer => Buffer.alloc(n);
const field = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name, 'latin1'),
    Buffer.from([value.length]),
    Buffer.from(value, 'latin1'),
  ]);
const head = (id: number, flags: number, ...blocks: Buffer[]): Buffer =>
  frame(1, flags, id, Buffer.concat(blocks));
/** A request that is whole. */
const whole = (...more: Buffer[]): Buffer => head(1, 5, REQUEST, ...more);
/** A request whose body follows. */
const open = (id = 1, ...more: Buffer[]): Buffer => head(id, 4, REQUEST, ...more);
const setting = (id: number, value: number): Buffer => {
  const bytes = zeros(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return frame(4, 0, 0, bytes);
};
const protocol = { goaway: 1 } as const;
const flowControl = { goaway: 3 } as const;
const frameSize = { goaway: 6 } as const;
const compression = { goaway: 9 } as const;
const refused = { refused: 1 } as const;
const ok = { answered: [1] } as const;

/** RFC 9113 by section, from the client's side of the wire. */
export const CASES: readonly Case[] = [
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
    what: 'DATA of the largest size',
    sends: [open(), frame(0, 1, 1, zeros(16_384))],
    verdict: ok,
  },
  {
    section: '4.2',
    what: 'DATA that is larger',
    sends: [open(), frame(0, 0, 1, zeros(16_385))],
    verdict: frameSize,
  },
  {
    section: '4.2',
    what: 'HEADERS that are larger',
    sends: [head(1, 5, REQUEST, zeros(16_384))],
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
    what: 'closed by reset: DATA, trailers and WINDOW_UPDATE that were on their way',
    sends: [
      open(),
      wordFrame(3, 1, 8),
      frame(0, 0, 1, 'x'),
      wordFrame(8, 1, 5),
      head(1, 5, field('a', 'b')),
      requestFrame(3),
    ],
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
  // Messages.
  {
    section: '8.1',
    what: 'trailers',
    sends: [open(), frame(0, 0, 1, 'x'), head(1, 5, field('a', 'b'))],
    verdict: ok,
  },
  {
    section: '8.1',
    what: 'trailers that do not end the stream',
    sends: [open(), head(1, 4, field('a', 'b'))],
    verdict: { reset: 1, stream: 1 },
  },
  {
    section: '8.1',
    what: 'a pseudo-header in trailers',
    sends: [open(), head(1, 5, field(':path', '/x'))],
    verdict: { reset: 1, stream: 1 },
  },
  {
    section: '8.1.1',
    what: 'less DATA than content-length',
    sends: [open(1, field('content-length', '3')), frame(0, 1, 1, 'ab')],
    verdict: { reset: 1, stream: 1 },
  },
  {
    section: '8.1.1',
    what: 'more DATA than content-length',
    sends: [open(1, field('content-length', '1')), frame(0, 0, 1, 'ab')],
    verdict: { reset: 1, stream: 1 },
  },
  {
    section: '8.1.1',
    what: 'content-length and no DATA',
    sends: [whole(field('content-length', '1'))],
    verdict: refused,
  },
  { section: '8.2', what: 'an upper-case name', sends: [whole(field('X-A', 'b'))], verdict: refused },
  { section: '8.2.1', what: 'a space in a name', sends: [whole(field('a b', 'c'))], verdict: refused },
  { section: '8.2.1', what: 'a colon in a name', sends: [whole(field('a:b', 'c'))], verdict: refused },
  { section: '8.2.1', what: 'CR in a value', sends: [whole(field('a', 'b\rc'))], verdict: refused },
  { section: '8.2.1', what: 'LF in a value', sends: [whole(field('a', 'b\nc'))], verdict: refused },
  { section: '8.2.1', what: 'NUL in a value', sends: [whole(field('a', 'b\0c'))], verdict: refused },
  { section: '8.2.1', what: 'space before a value', sends: [whole(field('a', ' b'))], verdict: refused },
  { section: '8.2.1', what: 'tab behind a value', sends: [whole(field('a', 'b\t'))], verdict: refused },
  {
    section: '8.2.2',
    what: 'connection',
    sends: [whole(field('connection', 'keep-alive'))],
    verdict: refused,
  },
  {
    section: '8.2.2',
    what: 'transfer-encoding',
    sends: [whole(field('transfer-encoding', 'chunked'))],
    verdict: refused,
  },
  { section: '8.2.2', what: 'upgrade', sends: [whole(field('upgrade', 'h2c'))], verdict: refused },
  {
    section: '8.2.2',
    what: 'te other than trailers',
    sends: [whole(field('te', 'trailers, deflate;q=0.5'))],
    verdict: refused,
  },
  { section: '8.2.2', what: 'te: trailers', sends: [whole(field('te', 'trailers'))], verdict: ok },
  {
    section: '8.2.3',
    what: 'cookies in pieces',
    sends: [whole(field('cookie', 'a=b'), field('cookie', 'c=d'))],
    verdict: ok,
  },
  {
    section: '8.3',
    what: 'an unknown pseudo-header',
    sends: [whole(field(':protocol', 'websocket'))],
    verdict: refused,
  },
  {
    section: '8.3',
    what: 'a pseudo-header behind a field',
    sends: [head(1, 5, REQUEST.subarray(0, 2), field('a', 'b'), REQUEST.subarray(2))],
    verdict: refused,
  },
  {
    section: '8.3',
    what: 'a pseudo-header of responses',
    sends: [whole(field(':status', '200'))],
    verdict: refused,
  },
  { section: '8.3.1', what: 'no method', sends: [head(1, 5, hex('8684410161'))], verdict: refused },
  { section: '8.3.1', what: 'no scheme', sends: [head(1, 5, hex('8284410161'))], verdict: refused },
  { section: '8.3.1', what: 'no path', sends: [head(1, 5, hex('8286410161'))], verdict: refused },
  {
    section: '8.3.1',
    what: 'an empty path',
    sends: [head(1, 5, hex('8286'), field(':path', ''), hex('010161'))],
    verdict: refused,
  },
  { section: '8.3.1', what: 'a method twice', sends: [whole(hex('82'))], verdict: refused },
  {
    section: '8.3.1',
    what: 'a host that says otherwise',
    sends: [whole(field('host', 'b'))],
    verdict: refused,
  },
  {
    section: '8.3.1',
    what: 'an authority with a user',
    sends: [head(1, 5, hex('828684'), field(':authority', 'u@a'))],
    verdict: refused,
  },
  {
    section: '8.3.1',
    what: 'a host in place of the authority',
    sends: [head(1, 5, hex('828684'), field('host', 'a'))],
    verdict: ok,
  },
  // HPACK.
  {
    section: 'HPACK 2.3.3',
    what: 'an index beyond the tables',
    sends: [whole(hex('be'))],
    verdict: compression,
  },
  {
    section: 'HPACK 4.2',
    what: 'a size update at the end of a block',
    sends: [whole(hex('20'))],
    verdict: compression,
  },
  {
    section: 'HPACK 4.2',
    what: 'a size update at the beginning',
    sends: [head(1, 5, hex('20'), REQUEST)],
    verdict: ok,
  },
  {
    section: 'HPACK 5.2',
    what: 'padding of Huffman of 8 bits',
    sends: [whole(hex('00 82 f8ff 00'))],
    verdict: compression,
  },
  {
    section: 'HPACK 5.2',
    what: 'padding that is not ones',
    sends: [whole(hex('00 81 18 00'))],
    verdict: compression,
  },
  { section: 'HPACK 5.2', what: 'EOS', sends: [whole(hex('00 84 ffffffff 00'))], verdict: compression },
  { section: 'HPACK 6.1', what: 'the index 0', sends: [whole(hex('80'))], verdict: compression },
  {
    section: 'HPACK 6.3',
    what: 'a size above SETTINGS_HEADER_TABLE_SIZE',
    sends: [head(1, 5, hex('3fe21f'), REQUEST)],
    verdict: compression,
  },
];
