import type { Seen } from './http1-cases.ts';

/** A request of HTTP/2 as its fields, and what the app behind gets of it. */
export interface DowngradeCase {
  readonly what: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly becomes: number | readonly Seen[];
}

type Fields = DowngradeCase['fields'];

const GET: Record<string, string> = {
  ':method': 'GET',
  ':scheme': 'http',
  ':path': '/a',
  ':authority': 'raw.shop',
};

/** A GET with some pseudo-headers of its own, and more fields. */
function request(own: Record<string, string>, ...more: Fields): Fields {
  return [...Object.entries({ ...GET, ...own }), ...more];
}

const HIDDEN = 'GET /hidden HTTP/1.1';
const refused = (list: readonly (readonly [string, Fields])[]): DowngradeCase[] =>
  list.map(([what, fields]) => ({ what, fields, becomes: 400 }));

export const HTTP2_CASES: readonly DowngradeCase[] = [
  ...refused([
    ['a new line in a name', request({}, ['a\r\nhost', 'b'])],
    ['LF in a name', request({}, ['a\nhost', 'b'])],
    ['a colon in a name', request({}, ['host:a', 'b'])],
    ['a colon at the end of a name', request({}, ['content-length:', '0'])],
    ['a space in a name', request({}, ['content-length ', '0'])],
    ['NUL in a name', request({}, ['a\0b', 'c'])],
    ['an empty name', request({}, ['', 'a'])],
    ['upper case in a name', request({}, ['Content-Length', '0'])],
    ['a new line in a value', request({}, ['a', `b\r\n\r\n${HIDDEN}`])],
    ['LF in a value', request({}, ['a', `b\n${HIDDEN}`])],
    ['CR in a value', request({}, ['a', 'b\rc'])],
    ['NUL in a value', request({}, ['a', 'b\0c'])],
    ['space around a value', request({}, ['a', ' b'])],
    ['a space in the path', request({ ':path': '/a HTTP/1.1' })],
    ['a new line in the path', request({ ':path': `/a HTTP/1.1\r\nx: y` })],
    ['a fragment in the path', request({ ':path': '/a#b' })],
    ['an absolute path', request({ ':path': 'http://other/a' })],
    ['an empty path', request({ ':path': '' })],
    ['a path that is *, for GET, with more', request({ ':path': '*a' })],
    ['a space in the method', request({ ':method': 'GET /b' })],
    ['a new line in the method', request({ ':method': 'GET\r\n' })],
    ['an empty method', request({ ':method': '' })],
    ['a space in the authority', request({ ':authority': 'a b' })],
    ['a new line in the authority', request({ ':authority': 'a\r\nx: y' })],
    ['a user in the authority', request({ ':authority': 'u@a' })],
    ['a path in the authority', request({ ':authority': 'a/b' })],
    ['a Host that says otherwise', request({}, ['host', 'other'])],
    ['two Hosts', request({ ':authority': '' }, ['host', 'a'], ['host', 'a'])],
    ['transfer-encoding', request({}, ['transfer-encoding', 'chunked'])],
    ['connection', request({}, ['connection', 'content-length'])],
    ['keep-alive', request({}, ['keep-alive', '5'])],
    ['proxy-connection', request({}, ['proxy-connection', 'close'])],
    ['upgrade: h2c', request({}, ['upgrade', 'h2c'])],
    ['te: chunked', request({}, ['te', 'chunked'])],
    ['content-length without content', request({ ':method': 'POST' }, ['content-length', '5'])],
    ['two content-lengths', request({}, ['content-length', '0'], ['content-length', '0'])],
    ['a list of content-lengths', request({}, ['content-length', '0, 0'])],
    ['a content-length with a sign', request({}, ['content-length', '+0'])],
    ['a pseudo-header twice', [...request({}), [':path', '/b']]],
    ['an unknown pseudo-header', [...request({}), [':protocol', 'websocket']]],
    ['a pseudo-header behind a field', [...Object.entries(GET).slice(1), ['a', 'b'], [':method', 'GET']]],
    ['a method twice', [...request({}), [':method', 'POST']]],
    ['an authority twice', [...request({}), [':authority', 'other']]],
    ['no path', Object.entries(GET).filter(([name]) => name !== ':path')],
    ['no method', Object.entries(GET).filter(([name]) => name !== ':method')],
    ['a tab in the path', request({ ':path': '/a\tb' })],
    ['NUL in the path', request({ ':path': '/a\0b' })],
    ['upper case in transfer-encoding', request({}, ['Transfer-Encoding', 'chunked'])],
    ['transfer-encoding: identity', request({}, ['transfer-encoding', 'identity'])],
    ['te: trailers, chunked', request({}, ['te', 'trailers, chunked'])],
    ['two equal Hosts beside the authority', request({}, ['host', 'raw.shop'], ['host', 'raw.shop'])],
    ['an empty content-length', request({}, ['content-length', ''])],
    ['a content-length beyond 2^53', request({}, ['content-length', '9007199254740993'])],
    ['a status', [...request({}), [':status', '200']]],
  ]),
  {
    what: 'a good one',
    fields: request({}, ['x-a', 'b']),
    becomes: [
      {
        line: 'GET /a HTTP/1.1',
        has: ['host: HOST', 'x-a: b'],
        lacks: ['transfer-encoding', 'content-length'],
      },
    ],
  },
  {
    what: 'a Host that says the same is one Host',
    fields: request({}, ['host', 'raw.shop']),
    becomes: [{ line: 'GET /a HTTP/1.1', has: ['host: HOST'] }],
  },
  {
    what: 'cookies in pieces are one field',
    fields: request({}, ['cookie', 'a=b'], ['cookie', 'c=d']),
    becomes: [{ line: 'GET /a HTTP/1.1', has: ['cookie: a=b; c=d'] }],
  },
  {
    what: 'content-length: 0 goes on',
    fields: request({ ':method': 'POST' }, ['content-length', '0']),
    becomes: [{ line: 'POST /a HTTP/1.1', has: ['content-length: 0'] }],
  },
  {
    what: 'te: trailers goes on',
    fields: request({}, ['te', 'trailers']),
    becomes: [{ line: 'GET /a HTTP/1.1', has: ['te: trailers', 'connection: te'] }],
  },
  {
    what: 'who the client is says the proxy',
    fields: request({}, ['l5d-client-id', 'admin']),
    becomes: [{ line: 'GET /a HTTP/1.1', lacks: ['l5d-client-id: admin'] }],
  },
];

/** Requests with DATA: where they are not what the content-length says, what the app gets must never be a whole request. */
export const HTTP2_BODIES: readonly { what: string; length: string; data: string }[] = [
  { what: 'what the content-length says', length: '5', data: 'hello' },
  { what: 'less than the content-length', length: '5', data: 'abc' },
  { what: 'more than the content-length', length: '5', data: `hello${HIDDEN}\r\nhost: raw.shop\r\n\r\n` },
  { what: 'something where content-length is 0', length: '0', data: `${HIDDEN}\r\nhost: raw.shop\r\n\r\n` },
];
/** Its fields. */
export const postOf = (length: string): Fields => request({ ':method': 'POST' }, ['content-length', length]);
