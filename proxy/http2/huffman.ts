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

/** The longest code's. */
const MOST_BITS = 30;
/** Bits that are looked at together. What text is made of has codes of five to eight. */
const QUICK_BITS = 8;

/** By length in bits: how many codes there are, the first of them, and where its symbol stands in `ordered`. */
const counts = new Uint16Array(MOST_BITS + 1);
const firsts = new Uint32Array(MOST_BITS + 1);
const places = new Uint16Array(MOST_BITS + 1);
/** Symbols in the order of their codes. */
const ordered = new Uint16Array(SYMBOLS);
/** By the next eight bits: the symbol that they begin with, and its length above it; 0: it is longer. */
const quick = new Uint16Array(2 ** QUICK_BITS);
const LENGTH_SHIFT = 8;
const SYMBOL_MASK = 255;

// Made at each start, mostly by code that has not been compiled: so it has few steps.
for (const bits of LENGTHS) counts[bits]!++;
for (let bits = 1; bits <= MOST_BITS; bits++) {
  firsts[bits] = (firsts[bits - 1]! + counts[bits - 1]!) * 2;
  places[bits] = places[bits - 1]! + counts[bits - 1]!;
}
const next = places.slice();
for (let symbol = 0; symbol < SYMBOLS; symbol++) ordered[next[LENGTHS[symbol]!]!++] = symbol;
for (let bits = 1; bits <= QUICK_BITS; bits++) {
  for (let i = 0; i < counts[bits]!; i++) {
    const entry = (bits << LENGTH_SHIFT) | ordered[places[bits]! + i]!;
    const from = (firsts[bits]! + i) << (QUICK_BITS - bits);
    quick.fill(entry, from, from + (1 << (QUICK_BITS - bits)));
  }
}

/** Code and length of every symbol. */
export function huffmanCodes(): { code: number; bits: number }[] {
  const codes: { code: number; bits: number }[] = [];
  ordered.forEach((symbol, place) => {
    const bits = LENGTHS[symbol]!;
    codes[symbol] = { code: firsts[bits]! + place - places[bits]!, bits };
  });
  return codes;
}

/** Most bytes that n coded bytes can become: the shortest code has 5 bits. */
export function maxDecodedLength(n: number): number {
  return Math.floor((n * 8) / 5);
}

/** Decodes `b[start, end)` into `out` at `at` (with room for `maxDecodedLength`). Returns the end of what was written; -1: malformed. */
export function decodeHuffman(b: Buffer, start: number, end: number, out: Buffer, at: number): number {
  let o = at;
  let i = start;
  /** The bits that were read and not used, at its upper end, and how many they are. Below them are zeros. */
  let bits = 0;
  let have = 0;
  for (;;) {
    while (have <= 24 && i < end) {
      bits |= b[i++]! << (24 - have);
      have += 8;
    }
    const atEnd = have < QUICK_BITS;
    // Behind the last bits come ones: padding, of at most 7 (RFC 7541 section 5.2).
    const entry = quick[atEnd ? (bits >>> 24) | (255 >> have) : bits >>> 24]!;
    const length = entry >> LENGTH_SHIFT;
    if (entry !== 0 && length <= have) {
      out[o++] = entry & SYMBOL_MASK;
      bits <<= length;
      have -= length;
      continue;
    }
    if (atEnd) return bits >>> 24 === ((255 << (8 - have)) & 255) ? o : -1;
    let code = 0;
    let taken = 0;
    let symbol = -1;
    while (symbol < 0 && taken < MOST_BITS) {
      if (have === 0) {
        if (i === end) return -1;
        bits = b[i++]! << 24;
        have = 8;
      }
      code = code * 2 + (bits >>> 31);
      bits <<= 1;
      have--;
      taken++;
      const nth = code - firsts[taken]!;
      if (nth >= 0 && nth < counts[taken]!) symbol = ordered[places[taken]! + nth]!;
    }
    // The symbol that ends a text must not stand in one.
    if (symbol < 0 || symbol === EOS) return -1;
    out[o++] = symbol;
  }
}
