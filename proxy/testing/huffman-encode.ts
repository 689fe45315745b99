import { huffmanCodes } from '../http2/huffman.ts';

const codes = huffmanCodes();

/** Huffman coding of RFC 7541 section 5.2. Our encoder does not use it; tests need what other encoders send. */
export function huffmanEncode(bytes: Buffer): Buffer {
  let bits = '';
  for (const byte of bytes) {
    const entry = codes[byte] ?? { code: 0, bits: 0 };
    bits += entry.code.toString(2).padStart(entry.bits, '0');
  }
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  return Buffer.from(bits.match(/.{8}/g)?.map((octet) => Number.parseInt(octet, 2)) ?? []);
}
