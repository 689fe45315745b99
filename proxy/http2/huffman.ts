/**
 * Huffman code of HPACK (RFC 7541 appendix B). The code is canonical (symbols of one length have consecutive codes in their order), so the lengths say it all.
 */
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const EOS = 256;
const SYMBOLS = 257;

/** Code and length of every symbol. */
export function huffmanCodes(): { code: number; bits: number }[] {
  const order = Array.from({ length: SYMBOLS }, (_, symbol) => symbol).sort(
    (a, b) => (LENGTHS[a] ?? 0) - (LENGTHS[b] ?? 0) || a - b,
  );
  const codes: { code: number; bits: number }[] = [];
  let code = 0;
  let bits = LENGTHS[order[0] ?? 0] ?? 0;
  for (const symbol of order) {
    const length = LENGTHS[symbol] ?? 0;
    code *= 2 ** (length - bits);
    bits = length;
    codes[symbol] = { code, bits };
    code++;
  }
  return codes;
}

/** The decoder works four bits at a time, since the tables are made at each start: by the byte they are sixteen times as large. A state is an inner node of the code's tree. */
const MAX_STATES = 256;
const STEPS = 16;
const DEAD = -1;
/** Next state by state and four bits; DEAD: no such code. */
const nextState = new Int16Array(MAX_STATES * STEPS).fill(DEAD);
/** The symbol that the four bits complete, at most one, since the shortest code has five; -1: none. */
const symbols = new Int16Array(MAX_STATES * STEPS).fill(-1);
/** The state may stand at the end: at most 7 bits of padding, all ones (RFC 7541 section 5.2). */
const mayEnd = new Uint8Array(MAX_STATES);
let prepared = false;

/** Makes the decoder's tables, which takes some ms: in a start while it waits for a peer, else with the first text that is decoded. */
export function prepareHuffman(): void {
  if (prepared) return;
  prepared = true;
  // Child of a node by bit: positive is a node, ~symbol a leaf.
  const children: [number, number][] = [[0, 0]];
  huffmanCodes().forEach(({ code, bits }, symbol) => {
    let node = 0;
    for (let i = bits - 1; i > 0; i--) {
      const bit = Math.floor(code / 2 ** i) & 1;
      const pair = children[node] ?? [0, 0];
      if (pair[bit] === 0) pair[bit] = children.push([0, 0]) - 1;
      node = pair[bit] ?? 0;
    }
    (children[node] ?? [0, 0])[code & 1] = ~symbol;
  });
  for (let state = 0; state < children.length; state++) {
    for (let bits = 0; bits < STEPS; bits++) fillTransition(children, state, bits);
  }
  mayEnd[0] = 1;
  for (let node = 0, depth = 1; depth <= 7; depth++) {
    node = children[node]?.[1] ?? 0;
    mayEnd[node] = 1;
  }
}

function fillTransition(children: [number, number][], state: number, bits: number): void {
  const at = state * STEPS + bits;
  let node = state;
  for (let i = 3; i >= 0; i--) {
    const child = children[node]?.[(bits >> i) & 1] ?? 0;
    if (child >= 0) {
      node = child;
      continue;
    }
    const symbol = ~child;
    if (symbol === EOS) return;
    symbols[at] = symbol;
    node = 0;
  }
  nextState[at] = node;
}

/** Most bytes that n coded bytes can become: the shortest code has 5 bits. */
export function maxDecodedLength(n: number): number {
  return Math.floor((n * 8) / 5);
}

/** Decodes `b[start, end)` into `out` at `at` (with room for `maxDecodedLength`). Returns the end of what was written; -1: malformed. */
export function decodeHuffman(b: Buffer, start: number, end: number, out: Buffer, at: number): number {
  prepareHuffman();
  let o = at;
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = b[i]!;
    const high = state * STEPS + (byte >> 4);
    state = nextState[high]!;
    if (state === DEAD) return -1;
    if (symbols[high]! >= 0) out[o++] = symbols[high]!;
    const low = state * STEPS + (byte & 15);
    state = nextState[low]!;
    if (state === DEAD) return -1;
    if (symbols[low]! >= 0) out[o++] = symbols[low]!;
  }
  return mayEnd[state] === 1 ? o : -1;
}
