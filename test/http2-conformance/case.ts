import { frame, REQUEST } from '../../proxy/testing/http2-frames.ts';

/** One thing that a client does to a server, and what RFC 9113 or RFC 7541 asks of the server. */
export interface Case {
  /** Section of RFC 9113; `HPACK` before one of RFC 7541. */
  readonly section: string;
  readonly what: string;
  /** What the client sends behind its preface and SETTINGS; `raw`: instead of them. */
  readonly sends: readonly Buffer[];
  readonly raw?: boolean;
  /** The server's side of it: in its order, of what `Said` calls it. See `Verdict`. */
  readonly verdict: Verdict;
}

/**
 * `answered`: streams that got a final head. `reset CODE`, `goaway CODE`: a stream error, a connection error.
 * `ignored`: the connection goes on as if nothing had been said. `closed`: without a word. `refused`: the stream is
 * answered with 400 and reset, and no layer sees the request.
 */
export type Verdict =
  | { readonly answered: readonly number[] }
  | { readonly reset: number; readonly stream: number }
  | { readonly goaway: number }
  | { readonly refused: number }
  | 'ignored'
  | 'closed';

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
export const zeros = (n: number): Buffer => Buffer.alloc(n);
export const field = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name, 'latin1'),
    Buffer.from([value.length]),
    Buffer.from(value, 'latin1'),
  ]);
export const head = (id: number, flags: number, ...blocks: Buffer[]): Buffer =>
  frame(1, flags, id, Buffer.concat(blocks));
/** A request that is whole. */
export const whole = (...more: Buffer[]): Buffer => head(1, 5, REQUEST, ...more);
/** A request whose body follows. */
export const open = (id = 1, ...more: Buffer[]): Buffer => head(id, 4, REQUEST, ...more);
export const setting = (id: number, value: number): Buffer => {
  const bytes = zeros(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return frame(4, 0, 0, bytes);
};
export const protocol = { goaway: 1 } as const;
export const flowControl = { goaway: 3 } as const;
export const frameSize = { goaway: 6 } as const;
export const compression = { goaway: 9 } as const;
export const refused = { refused: 1 } as const;
export const ok = { answered: [1] } as const;
