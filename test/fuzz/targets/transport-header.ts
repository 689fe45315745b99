import assert from 'node:assert/strict';
import { fromBinary } from '@bufbuild/protobuf';
import { HeaderSchema } from '../../../api/proto/gen/linkerd/transport-header_pb.js';
import {
  encodeTransportHeader,
  TransportHeaderReader,
  TransportHeaderStatus,
  type TransportHeader,
} from '../../../proxy/detect/transport-header.ts';
import { feedPieces } from '../../../proxy/testing/pieces.ts';
import { cuts, hex, latin1, type FuzzTarget } from '../target.ts';

const PREFACE = 'transport.l5d.io/v1\r\n\r\n';
const LENGTH_END = PREFACE.length + 4;

interface Outcome {
  /** Bytes of the header; a `TransportHeaderStatus` when there is none. */
  readonly end: number;
  readonly header: TransportHeader | undefined;
}

function run(bytes: Buffer, at: readonly number[]): Outcome {
  const reader = new TransportHeaderReader();
  let end: number = TransportHeaderStatus.more;
  let before = 0;
  feedPieces(bytes, at, (piece) => {
    if (end !== TransportHeaderStatus.more) return;
    const found = reader.push(piece, 0, piece.length);
    end = found > 0 ? before + found : found;
    before += piece.length;
  });
  return { end, header: end > 0 ? reader.header : undefined };
}

/** What the generated code reads. */
function reference(bytes: Buffer): TransportHeader {
  const { port, name, sessionProtocol } = fromBinary(HeaderSchema, bytes);
  return { port, name, protocol: sessionProtocol?.kind.case };
}

const framed = (body: Buffer): Buffer =>
  Buffer.concat([latin1(PREFACE), Buffer.from([0, 0, body.length >> 8, body.length & 255]), body]);

/** Linkerd's transport header: what is accepted, protobuf's own code reads as the same. */
export const transportHeader: FuzzTarget = {
  name: 'transport-header',
  seeds: [
    encodeTransportHeader({ port: 8080, name: 'web.shop.svc.cluster.local', protocol: 'http2' }),
    Buffer.concat([
      encodeTransportHeader({ port: 80, name: '', protocol: 'http1' }),
      latin1('GET / HTTP/1.1\r\n'),
    ]),
    encodeTransportHeader({ port: 65_535, name: '', protocol: undefined }),
    framed(hex('0850 7801 2501020304 310102030405060708 6a020909')),
    framed(hex('1a021200 1a020a00 0850 0851')),
  ],
  words: [
    '08',
    '12',
    '1a',
    '0a00',
    '1200',
    '1a020a00',
    '80',
    'ffffffffffffffffff01',
    '00000000',
    '000003ff',
    '0b',
    '0c',
    '25',
    '31',
    '6a',
  ].map(hex),
  fuzz(bytes) {
    const [whole, ...others] = cuts(bytes).map((at) => run(bytes, at));
    for (const other of others) assert.deepEqual(other, whole, 'what is read depends on the pieces');
    if (whole?.header === undefined) return;
    const { header, end } = whole;
    assert.equal(end, LENGTH_END + bytes.readUInt32BE(PREFACE.length));
    assert.deepEqual(header, reference(bytes.subarray(LENGTH_END, end)));
    assert.deepEqual(run(encodeTransportHeader(header), []).header, header);
  },
};
