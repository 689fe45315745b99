import type { Socket } from 'node:net';
import { FrameType, PREFACE } from '../../http2/frames.ts';
import { HpackDecoder } from '../../http2/hpack-decoder.ts';
import { readFrames, SETTINGS } from '../http2-frames.ts';

/** The head of a request: pseudo-headers and fields as they came. */
export type Fields = Record<string, string>;

/**
 * Serves HTTP/2 by frames of the test's own: `answer` says what goes back for the head of each request.
 * @param skip bytes that come before the preface
 */
export function serveFrames(
  socket: Socket,
  skip: number,
  answer: (id: number, fields: Fields) => Buffer[],
): void {
  const decoder = new HpackDecoder();
  let bytes: Buffer = Buffer.alloc(0);
  let left = skip + PREFACE.length;
  socket.write(SETTINGS);
  socket.on('data', (chunk: Buffer) => {
    const dropped = Math.min(left, chunk.length);
    left -= dropped;
    bytes = Buffer.concat([bytes, chunk.subarray(dropped)]);
    for (const { type, id, payload } of readFrames(bytes)) {
      bytes = bytes.subarray(9 + payload.length);
      if (type !== FrameType.headers) continue;
      const fields: Fields = {};
      decoder.decode(payload, 0, payload.length, {
        field(_kind, _bad, _sensitive, name, nameStart, nameEnd, value, valueStart, valueEnd) {
          fields[name.toString('latin1', nameStart, nameEnd)] = value.toString(
            'latin1',
            valueStart,
            valueEnd,
          );
        },
      });
      for (const one of answer(id, fields)) socket.write(one);
    }
  });
  socket.on('error', () => {});
}
