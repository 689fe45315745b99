import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { alpn, port } from '../../../api/names.ts';
import type { WorkloadIdentity } from '../../../workload-identity/index.ts';
import { ErrorCode, Flag, FrameType, PREFACE } from '../../http2/frames.ts';
import { HeadDecoder } from '../../http2/head-decoder.ts';
import { Head } from '../../message/head.ts';
import { frame, readFrames, SETTINGS } from '../http2-frames.ts';
import type { TestPod } from './test-mesh.ts';

export interface RawAnswer {
  status: number;
  body: string;
}

/** A client of `isthmus/1` that sends any fields, also those that no proxy would. One request at a time. */
export interface IsthmusClient {
  /**
   * `body`: in one DATA frame, also an empty one; without it the head ends the request. Rejects when the connection
   * closes, or the stream is reset, before there is an answer.
   */
  ask(fields: readonly (readonly [string, string])[], body?: string): Promise<RawAnswer>;
  close(): void;
}

/** What a leaf that no issuer of ours would give is presented with. */
export interface RawIdentity {
  key: string;
  cert: string;
  ca: string;
}

export async function dialIsthmus(
  identity: WorkloadIdentity | RawIdentity,
  to: TestPod,
): Promise<IsthmusClient> {
  const where = { host: to.ip, port: port.inbound };
  const socket = connectTls({ ...where, ...tlsOptions(identity, to) });
  await once(socket, 'secureConnect');
  socket.write(Buffer.concat([PREFACE, SETTINGS]));
  const decoder = new HeadDecoder(new Head(), false);
  let nextId = 1;
  return {
    ask(fields, body) {
      const id = nextId;
      nextId += 2;
      const flags = body === undefined ? Flag.endHeaders | Flag.endStream : Flag.endHeaders;
      socket.write(frame(FrameType.headers, flags, id, Buffer.concat(fields.map(literal))));
      if (body !== undefined) socket.write(frame(FrameType.data, Flag.endStream, id, Buffer.from(body)));
      return readAnswer(socket, decoder, id);
    },
    close: () => socket.destroy(),
  };
}

function tlsOptions(identity: WorkloadIdentity | RawIdentity, to: TestPod) {
  if ('key' in identity)
    return { ...identity, ALPNProtocols: [alpn.isthmus], checkServerIdentity: () => undefined };
  const options = identity.clientOptions({
    alpn: [alpn.isthmus],
    expect: { spiffeId: to.spiffeId, dnsName: to.dnsName },
  });
  if (options === undefined) throw new Error('the identity is not certified');
  return options;
}

/** A field without compression (RFC 7541 section 6.2.2); names and values below 127 bytes have a length of one byte. */
function literal([name, value]: readonly [string, string]): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const rest = bytes.length - 127;
  if (rest > 127) throw new Error('longer than this client can write');
  return Buffer.concat([Buffer.from([127, rest]), bytes]);
}

function readAnswer(socket: TLSSocket, decoder: HeadDecoder, id: number): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const head = new Head();
    const answer: RawAnswer = { status: 0, body: '' };
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      for (const { type, flags, id: of, payload } of readFrames(bytes)) {
        bytes = bytes.subarray(9 + payload.length);
        const isOurs = of === id;
        if (
          type === FrameType.headers &&
          decoder.decode(payload, 0, payload.length, head, 'response') === 'ok'
        )
          answer.status ||= head.status;
        if (type === FrameType.data && isOurs) answer.body += payload.toString();
        if (type === FrameType.reset && isOurs) return settle(answer.status > 0);
        const carriesEnd = type === FrameType.headers || type === FrameType.data;
        if (isOurs && carriesEnd && (flags & Flag.endStream) !== 0) return settle(true);
        if (type === FrameType.goaway && payload.readUInt32BE(4) !== ErrorCode.none) return settle(false);
      }
    };
    const onClose = (): void => settle(false);
    const settle = (answered: boolean): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
      if (answered) resolve(answer);
      else reject(new Error('the connection or the stream ended without an answer'));
    };
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.on('error', () => {});
  });
}
