/** What an app answers, and what must become of it for the client. */
export interface AnswerCase {
  readonly what: string;
  /** Bytes (Latin-1) that the app writes; it leaves the connection open, unless `closes`. */
  readonly answers: string;
  readonly closes?: true;
  /** `refused`: 502 in its place. `cut`: its head has passed, and the client's connection ends before the body is whole. An object: the answer. */
  readonly becomes: 'refused' | 'cut' | { readonly status: number; readonly body: string };
}

const HIDDEN = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden';
const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;
const chunked = (body: string): string => ok('Transfer-Encoding: chunked\r\n', body);
const CL = 'Content-Length: 5\r\n';
const TE = 'Transfer-Encoding: chunked\r\n';

type Pair = readonly [what: string, answers: string];
const all = (becomes: 'refused' | 'cut', list: readonly Pair[]): AnswerCase[] =>
  list.map(([what, answers]) => ({ what, answers, becomes }));

export const ANSWER_CASES: readonly AnswerCase[] = [
  ...all('refused', [
    ['CL.TE', ok(CL + TE, `0\r\n\r\n${HIDDEN}`)],
    ['TE.CL', ok(TE + CL, `0\r\n\r\n${HIDDEN}`)],
    ['CL.CL, equal', ok(CL + CL, 'hello')],
    ['CL.CL, unequal', ok(`${CL}Content-Length: 0\r\n`, `hello${HIDDEN}`)],
    ['CL.CL in one field', ok('Content-Length: 5, 5\r\n', 'hello')],
    ['CL.CL in one field, unequal', ok('Content-Length: 5,6\r\n', 'hello')],
    ['a length with a sign', ok('Content-Length: +5\r\n', 'hello')],
    ['a length that is empty', ok('Content-Length:\r\n', HIDDEN)],
    ['a length beyond 2^53', ok('Content-Length: 9007199254740993\r\n', 'hello')],
    ['a length with a vertical tab', ok('Content-Length: \u000b5\r\n', 'hello')],
    ['a length with a space before the colon', ok('Content-Length : 5\r\n', 'hello')],
    ['TE.TE', ok(TE + TE, '0\r\n\r\n')],
    ['TE: chunked, chunked', ok('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')],
    ['TE: identity', ok('Transfer-Encoding: identity\r\n', HIDDEN)],
    ['TE: identity beside a length', ok(`Transfer-Encoding: identity\r\n${CL}`, 'hello')],
    ['TE: xchunked', ok('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
    ['TE: empty', ok('Transfer-Encoding:\r\n', HIDDEN)],
    ['TE: a vertical tab before chunked', ok('Transfer-Encoding: \u000bchunked\r\n', '0\r\n\r\n')],
    ['TE: a vertical tab behind chunked', ok('Transfer-Encoding: chunked\u000b\r\n', '0\r\n\r\n')],
    ['TE: a tab before the colon', ok('Transfer-Encoding\t: chunked\r\n', '0\r\n\r\n')],
    ['TE in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a folded field', ok(`X: a\r\n b\r\n${CL}`, 'hello')],
    ['bare LF', `HTTP/1.1 200 OK\nContent-Length: 5\n\nhello`],
    ['TE behind a bare LF', ok('X: a\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    ['a bare CR in a value', ok(`X: a\rb\r\n${CL}`, 'hello')],
    ['NUL in a value', ok(`X: a\0b\r\n${CL}`, 'hello')],
    ['NUL in a name', ok(`X\0Y: a\r\n${CL}`, 'hello')],
    ['a pseudo-header', ok(`:status: 204\r\n${CL}`, 'hello')],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['two spaces before the status', 'HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['a tab before the status', 'HTTP/1.1\t200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['101, for which nobody has asked', `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n${HIDDEN}`],
  ]),
  ...all('cut', [
    ['a chunk size with 0x', chunked('0x5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size with a sign', chunked('+5\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size beyond 2^53', chunked('20000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk size beyond 2^64', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n')],
    ['a chunk line that ends in LF', chunked('5\nhello\r\n0\r\n\r\n')],
    ['LF within an extension', chunked('5;a="\n"\r\nhello\r\n0\r\n\r\n')],
    ['an end of line within quotes of an extension', chunked(`5;a="\r\nhello\r\n0\r\n\r\n${HIDDEN}`)],
    ['a chunk that is longer', chunked('5\r\nhello!\r\n0\r\n\r\n')],
    ['trailers: Content-Length', chunked('5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n')],
    ['trailers: Transfer-Encoding', chunked('5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n')],
    ['trailers: folded', chunked('5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n')],
  ]),
  {
    what: 'less than its length',
    answers: ok(CL, 'hel'),
    closes: true,
    becomes: 'cut',
  },
  {
    what: 'chunks that the end of the connection ends',
    answers: chunked('5\r\nhello\r\n'),
    closes: true,
    becomes: 'cut',
  },
  {
    what: 'an answer behind the answer is nobody’s',
    answers: ok(CL, `hello${HIDDEN}`),
    becomes: { status: 200, body: 'hello' },
  },
  {
    what: 'an answer behind the last chunk is nobody’s',
    answers: chunked(`5;a="b"\r\nhello\r\n000\r\n\r\n${HIDDEN}`),
    becomes: { status: 200, body: 'hello' },
  },
  {
    what: 'an answer behind a 204 is nobody’s',
    answers: `HTTP/1.1 204 No Content\r\n\r\n${HIDDEN}`,
    becomes: { status: 204, body: '' },
  },
  {
    what: 'an answer behind a 304 with a length is nobody’s',
    answers: `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n${HIDDEN}`,
    becomes: { status: 304, body: '' },
  },
  {
    what: 'an answer within the body is its bytes',
    answers: ok(`Content-Length: ${HIDDEN.length}\r\n`, HIDDEN),
    becomes: { status: 200, body: HIDDEN },
  },
  {
    what: 'without a length all is body',
    answers: ok('', HIDDEN),
    closes: true,
    becomes: { status: 200, body: HIDDEN },
  },
];
