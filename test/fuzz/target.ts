/** A thing that is fuzzed. */
export interface FuzzTarget {
  readonly name: string;
  /** Inputs that lead far into the code, to begin from. */
  readonly seeds: readonly Buffer[];
  /** Pieces that the format is made of. */
  readonly words: readonly Buffer[];
  /** Throws when something that must always hold does not. The bytes are the target's to keep. */
  fuzz(bytes: Buffer): void;
}

/** Most bytes of an input: beyond, nothing new is found and everything takes longer. */
export const MAX_INPUT = 4_096;

/** Ways to cut an input in pieces: whole, byte by byte (or nearly, where that is long), and two that depend on the input alone. */
export function cuts(bytes: Buffer): number[][] {
  const step = bytes.length <= 512 ? 1 : 7;
  const small: number[] = [];
  for (let at = step; at < bytes.length; at += step) small.push(at);
  let hash = 2_166_136_261;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
  const place = (n: number): number => (bytes.length === 0 ? 0 : n % bytes.length);
  return [[], small, [place(hash)], [place(hash >>> 8), place(hash >>> 16)].sort((a, b) => a - b)];
}

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
