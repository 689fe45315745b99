import { FrameType } from '../http2/frames.ts';

/** One frame as bytes. */
export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as string);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, body]);
}

/** GET http / with :authority a, as literals. */
export const REQUEST = Buffer.from('828684010161', 'hex');
/** What every peer sends first. */
export const SETTINGS = frame(FrameType.settings, 0, 0);

/** HEADERS of a request. `flags`: 4 when a body follows. */
export function requestFrame(id: number, flags = 5): Buffer {
  return frame(FrameType.headers, flags, id, REQUEST);
}

/** WINDOW_UPDATE, RST_STREAM: frames of one 32-bit number. */
export function wordFrame(type: number, id: number, word: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(word);
  return frame(type, 0, id, payload);
}

/** A frame that was read. */
export interface ReadFrame {
  type: number;
  flags: number;
  id: number;
  payload: Buffer;
}

/** Cuts whole frames out of bytes (no preface). */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const list: ReadFrame[] = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    const payload = bytes.subarray(at + 9, at + 9 + length);
    list.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: bytes.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  return list;
}
