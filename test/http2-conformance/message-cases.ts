import { frame, REQUEST } from '../../proxy/testing/http2-frames.ts';
import { type Case, hex, field, head, whole, open, refused, ok } from './case.ts';

/** RFC 9113 section 8: what HTTP is in it. */
export const MESSAGE_CASES: readonly Case[] = [
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
    // RFC 8441 section 4: we do not announce it, so it is malformed as any other that is unknown.
    section: '8.3',
    what: 'an extended CONNECT',
    sends: [
      head(
        1,
        4,
        field(':method', 'CONNECT'),
        field(':protocol', 'websocket'),
        field(':scheme', 'http'),
        field(':path', '/chat'),
        field(':authority', 'a'),
        field('sec-websocket-version', '13'),
      ),
    ],
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
];
