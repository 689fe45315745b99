/** What a client writes, and what must become of it. */
export interface SmugglingCase {
  readonly what: string;
  /** Bytes (Latin-1) of one connection. `HOST` stands for the service's name. */
  readonly sends: string;
  /** A status: refused with it, and the app sees nothing. A list: first lines, bodies and rests of the requests that the app sees, and nothing else. */
  readonly becomes: number | readonly Seen[];
}

export interface Seen {
  readonly line: string;
  readonly body?: string;
  /** Fields that it has, and such that it has not, by name. */
  readonly has?: readonly string[];
  readonly lacks?: readonly string[];
}

const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: raw.shop\r\n\r\n';
const post = (fields: string, body = ''): string => `POST /a HTTP/1.1\r\nHost: HOST\r\n${fields}\r\n${body}`;
const get = (fields: string, path = '/a'): string => `GET ${path} HTTP/1.1\r\nHost: HOST\r\n${fields}\r\n`;
const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body);
const CL = 'Content-Length: 5\r\n';
const TE = 'Transfer-Encoding: chunked\r\n';

const refused = (status: number, list: readonly (readonly [string, string])[]): SmugglingCase[] =>
  list.map(([what, sends]) => ({ what, sends, becomes: status }));

export const HTTP1_CASES: readonly SmugglingCase[] = [
  // Two lengths.
  ...refused(400, [
    ['CL.TE', post(CL + TE, `0\r\n\r\n${HIDDEN}`)],
    ['TE.CL', post(TE + 'Content-Length: 4\r\n', `5c\r\n${HIDDEN}\r\n0\r\n\r\n`)],
    ['CL.CL, equal', post(CL + CL, 'hello')],
    ['CL.CL, unequal', post(`${CL}Content-Length: 0\r\n`, `hello${HIDDEN}`)],
    ['CL.CL in one field', post('Content-Length: 5, 5\r\n', 'hello')],
    ['CL.0: a length with a sign', post('Content-Length: +5\r\n', 'hello')],
    ['a length with a minus', post('Content-Length: -1\r\n', HIDDEN)],
    ['a length in hexadecimal', post('Content-Length: 0x5\r\n', 'hello')],
    ['a length with a fraction', post('Content-Length: 5.0\r\n', 'hello')],
    ['a length with a space within', post('Content-Length: 5 0\r\n', 'hello')],
    ['a length with an underscore', post('Content-Length: 5_0\r\n', 'hello')],
    ['a length beyond 2^53', post('Content-Length: 9007199254740993\r\n', 'hello')],
    ['a length beyond 2^64', post('Content-Length: 18446744073709551621\r\n', 'hello')],
    ['a length with a vertical tab', post('Content-Length: \u000b5\r\n', 'hello')],
    ['a length that is empty', post('Content-Length:\r\n', HIDDEN)],
    ['CL.CL in one field, unequal', post('Content-Length: 5,6\r\n', 'hello')],
    ['a length and a comma', post('Content-Length: 5,\r\n', 'hello')],
    ['a length in quotes', post('Content-Length: "5"\r\n', 'hello')],
    ['a length with a vertical tab behind it', post('Content-Length: 5\u000b\r\n', 'hello')],
    ['a length with NUL behind it', post('Content-Length: 5\0\r\n', 'hello')],
    ['a length with a space before the colon', post('Content-Length : 5\r\n', 'hello')],
    ['a length with a tab before the colon', post('Content-Length\t: 5\r\n', 'hello')],
    ['a length with a vertical tab before the colon', post('Content-Length\u000b: 5\r\n', 'hello')],
    ['a folded length', post('Content-Length:\r\n 5\r\n', 'hello')],
  ]),
  // Codings in disguise.
  ...refused(400, [
    [
      'TE.TE: the second says something else',
      post(`${TE}Transfer-Encoding: identity\r\n`, `0\r\n\r\n${HIDDEN}`),
    ],
    ['TE.TE: twice the same', post(TE + TE, '0\r\n\r\n')],
    ['TE: identity', post('Transfer-Encoding: identity\r\n', HIDDEN)],
    ['TE: xchunked', post('Transfer-Encoding: xchunked\r\n', HIDDEN)],
    ['TE: chunked in quotes', post('Transfer-Encoding: "chunked"\r\n', HIDDEN)],
    ['TE: chunked with a parameter', post('Transfer-Encoding: chunked;q=1\r\n', HIDDEN)],
    ['TE: chunked, identity', post('Transfer-Encoding: chunked, identity\r\n', HIDDEN)],
    ['TE: a vertical tab before chunked', post('Transfer-Encoding: \u000bchunked\r\n', HIDDEN)],
    ['TE: a vertical tab behind chunked', post('Transfer-Encoding: chunked\u000b\r\n', HIDDEN)],
    ['TE: a vertical tab before the colon', post('Transfer-Encoding\u000b: chunked\r\n', HIDDEN)],
    ['TE: chunked, chunked', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')],
    ['TE: a comma behind chunked', post('Transfer-Encoding: chunked,\r\n', '0\r\n\r\n')],
    ['TE: a comma before chunked', post('Transfer-Encoding: ,chunked\r\n', '0\r\n\r\n')],
    ['TE: empty', post('Transfer-Encoding:\r\n', HIDDEN)],
    ['TE: empty beside a length', post(`Transfer-Encoding:\r\n${CL}`, 'hello')],
    ['TE: NUL behind chunked', post('Transfer-Encoding: chunked\0\r\n', HIDDEN)],
    ['TE: a no-break space behind chunked', post('Transfer-Encoding: chunked\u00a0\r\n', HIDDEN)],
    ['TE: folded', post('Transfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
    ['TE: a space before the colon', post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
    ['TE: a tab before the colon', post('Transfer-Encoding\t: chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
    ['TE: a space before the name', post(' Transfer-Encoding: chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
    ['TE: behind a bare LF', post('X: a\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
    ['TE: behind a bare CR', post('X: a\rTransfer-Encoding: chunked\r\n', `0\r\n\r\n${HIDDEN}`)],
    ['TE in HTTP/1.0', 'POST /a HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ]),
  ...refused(501, [['TE: gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')]]),
  {
    what: 'TE: tabs and spaces around chunked are none of its, nor is its case',
    sends: post('Transfer-Encoding:\t chUnked \t\r\n', `5\r\nhello\r\n0\r\n\r\n${get('', '/b')}`),
    becomes: [
      { line: 'POST /a HTTP/1.1', body: 'hello', has: ['transfer-encoding: chunked'] },
      { line: 'GET /b HTTP/1.1' },
    ],
  },
  // Ends of lines, and what hides in names.
  ...refused(400, [
    ['bare LF', 'GET /a HTTP/1.1\nHost: HOST\n\n'],
    ['bare LF at the end of the head', `POST /a HTTP/1.1\r\nHost: HOST\r\n${CL}\nhello`],
    ['a folded field', get('X: a\r\n b\r\n')],
    ['a folded first field', `GET /a HTTP/1.1\r\n Host: HOST\r\n\r\n`],
    ['NUL in a name', get('X\0Y: a\r\n')],
    ['NUL in a value', get('X: a\0b\r\n')],
    ['a name that is empty', get(': a\r\n')],
    ['a field without colon', get('Content-Length\r\n')],
    ['a letter outside ASCII in a name', get('Content-Length\u00e9: 5\r\n')],
    ['Connection takes away Content-Length', post(`Connection: Content-Length\r\n${CL}`, 'hello')],
    ['Connection takes away Host', get('Connection: Host\r\n')],
  ]),
  // Hosts and targets.
  ...refused(400, [
    ['two Hosts', get('Host: other\r\n')],
    ['no Host', 'GET /a HTTP/1.1\r\n\r\n'],
    ['a Host with a space', 'GET /a HTTP/1.1\r\nHost: HOST x\r\n\r\n'],
    ['a Host with a user', 'GET /a HTTP/1.1\r\nHost: u@HOST\r\n\r\n'],
    ['a Host with a path', 'GET /a HTTP/1.1\r\nHost: HOST/b\r\n\r\n'],
    ['two targets', 'GET /a /b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a request within the target', 'GET /a\r\nX:%20y HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a version within the target', 'GET /a HTTP/1.1 HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['two spaces before the target', 'GET  /a HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['two spaces before the version', 'GET /a  HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a space behind the version', 'GET /a HTTP/1.1 \r\nHost: HOST\r\n\r\n'],
    ['a space before the method', ' GET /a HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a tab before the target', 'GET\t/a HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a tab before the version', 'GET /a\tHTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a tab within the target', 'GET /a\tb HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['NUL within the target', 'GET /a\0b HTTP/1.1\r\nHost: HOST\r\n\r\n'],
    ['a Host with a space before the colon', 'GET /a HTTP/1.1\r\nHost : HOST\r\n\r\n'],
    ['HTTP/0.9', 'GET /a\r\n\r\n'],
    ['another version', 'GET /a HTTP/1.10\r\nHost: HOST\r\n\r\n'],
    ['an absolute target with a user', 'GET http://u@HOST/a HTTP/1.1\r\nHost: HOST\r\n\r\n'],
  ]),
  {
    what: 'an absolute target counts, not the Host beside it',
    sends: 'GET http://HOST/a HTTP/1.1\r\nHost: other.shop\r\n\r\n',
    becomes: [{ line: 'GET /a HTTP/1.1', has: ['host: HOST'] }],
  },
  // Chunks.
  ...refused(400, [
    ['a chunk size with 0x', chunked(`0x5\r\nhello\r\n0\r\n\r\n`)],
    ['a chunk size with a sign', chunked('+5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size with a minus', chunked('-5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size with a space', chunked('5 \r\nhello\r\n0\r\n\r\n')],
    ['a chunk size beyond 2^64', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size beyond 2^53', chunked('20000000000005\r\nhello\r\n0\r\n\r\n')],
    ['no chunk size', chunked(';x\r\nhello\r\n0\r\n\r\n')],
    ['a chunk that ends in LF', chunked('5\r\nhello\n0\r\n\r\n')],
    ['a chunk line that ends in LF', chunked('5\nhello\r\n0\r\n\r\n')],
    ['LF within an extension', chunked('5;a\nb\r\nhello\r\n0\r\n\r\n')],
    ['CR within an extension', chunked('5;a\rb\r\nhello\r\n0\r\n\r\n')],
    ['an end of line within quotes of an extension', chunked(`5;a="\r\nhello\r\n0\r\n\r\n${HIDDEN}`)],
    ['the same behind a quote that is escaped', chunked(`5;a="\\"\r\nhello\r\n0\r\n\r\n${HIDDEN}`)],
    ['LF within an extension in quotes', chunked('5;a="\n"\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size beyond 2^53 with zeros in front', chunked('000020000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size of 2^32 times something, and 5', chunked('100000000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size with a tab', chunked('5\t\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size with a vertical tab', chunked('5\u000b\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size with an underscore', chunked('0_5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size behind a space', chunked(' 5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size with NUL', chunked('5\0\r\nhello\r\n0\r\n\r\n')],
    ['a chunk that is shorter', chunked('6\r\nhello\r\n0\r\n\r\n')],
    ['a chunk that is longer', chunked(`5\r\nhello!\r\n0\r\n\r\n`)],
    ['trailers: Content-Length', chunked('0\r\nContent-Length: 5\r\n\r\n')],
    ['trailers: Transfer-Encoding', chunked('0\r\nTransfer-Encoding: chunked\r\n\r\n')],
    ['trailers: Host', chunked('0\r\nHost: other\r\n\r\n')],
    ['trailers: a space before the colon', chunked('0\r\nContent-Length : 5\r\n\r\n')],
    ['trailers: NUL', chunked('0\r\nX: a\0\r\n\r\n')],
    ['trailers: a pseudo-header', chunked('0\r\n:path: /b\r\n\r\n')],
    ['trailers: a bare LF', chunked('0\r\nX: a\n\r\n')],
    ['trailers: folded', chunked('0\r\nX: a\r\n b\r\n\r\n')],
  ]),
  {
    what: 'extensions of chunks stop here',
    sends: chunked('5;a="b\\"";c\r\nhello\r\n0;d\r\n\r\n'),
    becomes: [{ line: 'POST /a HTTP/1.1', body: 'hello', has: ['transfer-encoding: chunked'] }],
  },
  {
    what: 'sizes in both cases with zeros in front',
    sends: chunked('00A\r\n0123456789\r\n0a\r\n0123456789\r\n000\r\n\r\n'),
    becomes: [{ line: 'POST /a HTTP/1.1', body: '01234567890123456789' }],
  },
  // Requests behind requests.
  {
    what: 'what follows the declared length is the next request',
    sends: post(CL, `hello${get('', '/b')}`),
    becomes: [{ line: 'POST /a HTTP/1.1', body: 'hello' }, { line: 'GET /b HTTP/1.1' }],
  },
  {
    what: 'what follows the last chunk is the next request',
    sends: chunked(`5\r\nhello\r\n0\r\n\r\n${get('', '/b')}`),
    becomes: [{ line: 'POST /a HTTP/1.1', body: 'hello' }, { line: 'GET /b HTTP/1.1' }],
  },
  {
    what: 'a GET with a body is one request',
    sends: `GET /a HTTP/1.1\r\nHost: HOST\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
    becomes: [{ line: 'GET /a HTTP/1.1', body: HIDDEN }],
  },
  {
    what: 'nothing behind Connection: close is a request',
    sends: get('Connection: close\r\n') + HIDDEN,
    becomes: [{ line: 'GET /a HTTP/1.1' }],
  },
  {
    what: 'a request behind a malformed one does not count',
    sends: `GET /a HTTP/1.1\nHost: HOST\n\n${HIDDEN}`,
    becomes: 400,
  },
  // Hop by hop, and what only proxies say.
  {
    what: 'fields of the hop stop here',
    sends: get(
      'Connection: X-Hop, Keep-Alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\nProxy-Connection: x\r\nX-On: 1\r\n',
    ),
    becomes: [
      {
        line: 'GET /a HTTP/1.1',
        has: ['x-on: 1'],
        lacks: ['connection', 'x-hop', 'keep-alive', 'te', 'proxy-connection'],
      },
    ],
  },
  {
    what: 'who the client is says the proxy',
    sends: get('L5d-Client-Id: admin\r\n'),
    becomes: [{ line: 'GET /a HTTP/1.1', lacks: ['l5d-client-id: admin'] }],
  },
  ...refused(400, [
    ['a pseudo-header in HTTP/1.1', get(':path: /b\r\n')],
    ['a pseudo-header of ours in HTTP/1.1', get(':isthmus-client: x\r\n')],
  ]),
  // Upgrade.
  {
    what: 'Upgrade: h2c is not offered further',
    sends: get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'),
    becomes: [{ line: 'GET /a HTTP/1.1', lacks: ['upgrade', 'connection', 'http2-settings'] }],
  },
  {
    what: 'Upgrade without Connection is none',
    sends: get('Upgrade: websocket\r\n', '/up2'),
    becomes: [{ line: 'GET /up2 HTTP/1.1', lacks: ['upgrade', 'connection'] }],
  },
  {
    what: 'Upgrade with a body is none',
    sends: post(`Connection: upgrade\r\nUpgrade: websocket\r\n${CL}`, 'hello'),
    becomes: [{ line: 'POST /a HTTP/1.1', body: 'hello', lacks: ['upgrade', 'connection'] }],
  },
  {
    what: 'several protocols to choose from are not offered further',
    sends: get('Connection: upgrade\r\nUpgrade: websocket, h2c\r\n'),
    becomes: [{ line: 'GET /a HTTP/1.1', lacks: ['upgrade', 'connection'] }],
  },
];
