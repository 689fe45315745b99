import { ReferenceDecoder } from './hpack-reference.ts';

/** What a frame says, in words: for what one side of a connection sends. DATA of a stream that follows on DATA is one. */
export type Said =
  | { kind: 'headers'; id: number; fields: string[]; end: boolean }
  | { kind: 'data'; id: number; text: string; end: boolean }
  | { kind: 'reset'; id: number; code: number }
  | { kind: 'goaway'; last: number; code: number }
  | { kind: 'settings'; ack: boolean }
  | { kind: 'ping'; ack: boolean; text: string }
  | { kind: 'window'; id: number; n: number };

const FRAME_HEADER = 9;
const MAX_FRAME = 16_384;

/** Reads whole frames that our side has written (no preface); throws when they are none, or of a kind that it never sends. */
export function readSaid(bytes: Buffer, decoder = new ReferenceDecoder()): Said[] {
  const list: Said[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    const end = at + FRAME_HEADER + length;
    if (length > MAX_FRAME || end > bytes.length)
      throw new Error(`a frame of ${length} bytes at ${at} of ${bytes.length}`);
    const [type = 0, flags = 0] = bytes.subarray(at + 3, at + 5);
    add(list, said(type, flags, bytes.readUInt32BE(at + 5), bytes.subarray(at + FRAME_HEADER, end), decoder));
    at = end;
  }
  return list;
}

function said(type: number, flags: number, id: number, payload: Buffer, decoder: ReferenceDecoder): Said {
  const end = (flags & 1) !== 0;
  switch (type) {
    case 0:
      return { kind: 'data', id, text: payload.toString('latin1'), end };
    case 1: {
      const fields = (flags & 4) === 0 ? undefined : decoder.decode(payload);
      if (fields === undefined) throw new Error(`a block that nobody can decode: ${payload.toString('hex')}`);
      return { kind: 'headers', id, fields: fields.map(({ name, value }) => `${name}: ${value}`), end };
    }
    case 3:
      return { kind: 'reset', id, code: payload.readUInt32BE(0) };
    case 4:
      return { kind: 'settings', ack: end };
    case 6:
      return { kind: 'ping', ack: end, text: payload.toString('latin1') };
    case 7:
      return { kind: 'goaway', last: payload.readUInt32BE(0), code: payload.readUInt32BE(4) };
    case 8:
      return { kind: 'window', id, n: payload.readUInt32BE(0) };
    default:
      throw new Error(`a frame of type ${type}`);
  }
}

function add(list: Said[], one: Said): void {
  const before = list.at(-1);
  if (one.kind === 'data' && before?.kind === 'data' && before.id === one.id && !before.end) {
    before.text += one.text;
    before.end = one.end;
  } else list.push(one);
}
