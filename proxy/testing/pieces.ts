/** A byte that means nothing in any of our formats. */
const OVERWRITTEN = 0xa5;

/**
 * Bytes as a network may cut them: `bytes[from, to)` one behind the other, some of them empty.
 * @param splits where to cut, in any order; of a number beyond the end the remainder counts
 */
export function* piecesOf(bytes: Buffer, splits: readonly number[]): Iterable<[from: number, to: number]> {
  const cuts = splits.map((n) => n % (bytes.length + 1)).sort((a, b) => a - b);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    yield [from, to];
    from = to;
  }
}

/** Hands each piece over in a buffer of its own that is overwritten afterwards, as a read's buffer is: nothing may refer to it later. */
export function feedPieces(bytes: Buffer, splits: readonly number[], take: (piece: Buffer) => void): void {
  for (const [from, to] of piecesOf(bytes, splits)) {
    if (from === to) continue;
    const piece = Buffer.from(bytes.subarray(from, to));
    take(piece);
    piece.fill(OVERWRITTEN);
  }
}
