import assert from 'node:assert/strict';
import { Detector, type Protocol } from '../../../proxy/detect/detect.ts';
import { feedPieces } from '../../../proxy/testing/pieces.ts';
import { cuts, hex, latin1, type FuzzTarget } from '../target.ts';

/** Low, so that small inputs reach it. */
const LIMIT = 2_048;

interface Outcome {
  readonly protocol: Protocol | undefined;
  /** Bytes that had come when it was decided. */
  readonly at: number;
}

function run(bytes: Buffer, at: readonly number[]): Outcome {
  const detector = new Detector(LIMIT);
  let protocol: Protocol | undefined;
  let came = 0;
  feedPieces(bytes, at, (piece) => {
    if (protocol !== undefined) return;
    protocol = detector.push(piece, 0, piece.length);
    came += piece.length;
  });
  return { protocol, at: came };
}

/** What each protocol begins with, said in another way than the code says it. */
function assertPlausible(bytes: Buffer, protocol: Protocol): void {
  const text = bytes.toString('latin1');
  if (protocol.kind === 'http2') assert.ok(text.startsWith('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
  else if (protocol.kind === 'http1')
    assert.match(text, /^[\r\n]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^\n]*HTTP\/1\.[0-9]\r?\n/);
  else if (protocol.kind === 'tls') {
    assert.match(text, /^\x16\x03/); // oxlint-disable-line no-control-regex -- a handshake record
    for (const name of [protocol.serverName, ...protocol.alpn])
      assert.ok(text.replaceAll(/\x16\x03[^]{3}/g, '').includes(name) || text.includes(name)); // oxlint-disable-line no-control-regex -- the record's header
  }
}

/** A ClientHello with SNI `web.test` and ALPN `h2`, cut to what detection reads. */
const HELLO = Buffer.concat([
  hex('16030100 4f 0100004b 0303'),
  Buffer.alloc(32, 7),
  hex('00 0002 1301 01 00 0020 0000 000d 000b 00 0008'),
  latin1('web.test'),
  hex('0010 0005 0003 02 6832 002b 0003 02 0304'),
]);

/** Which protocol a connection speaks: the same whatever the pieces, and never taken back. */
export const detect: FuzzTarget = {
  name: 'detect',
  seeds: [
    ...[
      'GET /a?b HTTP/1.1\r\nHost: a\r\n',
      '\r\nPOST / HTTP/1.0\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0',
      'PRI / HTTP/1.1\r\n',
      'EHLO mail\r\n',
      '*1\r\n$4\r\nPING\r\n',
      'SSH-2.0-x\r\n',
    ].map(latin1),
    HELLO,
    Buffer.concat([
      HELLO.subarray(0, 3),
      hex('0004'),
      HELLO.subarray(5, 9),
      hex('160301'),
      hex('004b'),
      HELLO.subarray(9),
    ]),
  ],
  words: [
    'GET ',
    ' HTTP/1.1\r\n',
    ' HTTP/1.',
    '\r\n',
    '\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01',
    '\x01\x00',
    '\x00\x00',
    '\x00\x10',
    ' ',
  ].map(latin1),
  fuzz(bytes) {
    const outcomes = cuts(bytes).map((at) => run(bytes, at));
    const [whole] = outcomes;
    for (const { protocol } of outcomes)
      assert.deepEqual(protocol, whole?.protocol, 'it depends on the pieces');
    const earliest = Math.min(...outcomes.map(({ at }) => at));
    const { protocol } = whole ?? {};
    if (protocol === undefined) return;
    assertPlausible(bytes, protocol);
    // What has been decided stands, whatever follows.
    const more = Buffer.concat([bytes.subarray(0, earliest), latin1('\r\n\r\nGET / HTTP/1.1\r\n')]);
    assert.deepEqual(run(more, []).protocol, protocol, 'what follows changes it');
  },
};
