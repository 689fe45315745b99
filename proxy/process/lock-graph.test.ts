import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lockGraphPages, ownLockGraphPages, type ReadMemory } from './lock-graph.ts';

const PAGE = 4096;
const START = 0x7f00_0000_0000;
/** Where the piece begins: the kernel has joined its mapping with the one before. */
const AT = START + 3 * PAGE;
const PIECE = 257 * PAGE;
const MAPPING = `${START.toString(16)}-${(START + 300 * PAGE).toString(16)} rw-p 00000000 00:00 0 \n`;

/** Memory of a mapping with a table of which one number is used, on its page 9. */
function memoryWithTable(): Buffer {
  const memory = Buffer.alloc(300 * PAGE);
  const piece = memory.subarray(AT - START, AT - START + PIECE);
  piece.fill(0xff, 200, 256 * PAGE + 100);
  piece.writeBigUInt64LE(BigInt(PIECE), 0);
  piece.writeBigUInt64LE(BigInt(AT) ^ 0x4c833e95n, 8);
  piece.writeBigUInt64LE(BigInt(AT + 32), 192);
  piece.writeInt32LE(7, 9 * PAGE + 40);
  return memory;
}

function reads(memory: Buffer): ReadMemory {
  return (address, into) => memory.copy(into, 0, address - START) === into.length;
}

test('the pages of the table that nothing stands in, wherever in its mapping it lies', () => {
  const pages = lockGraphPages(MAPPING, PAGE, reads(memoryWithTable()));
  assert.deepEqual(pages, [
    { start: AT + PAGE, length: 8 * PAGE },
    { start: AT + 10 * PAGE, length: 246 * PAGE },
  ]);
});

test('nothing is taken for the table that lacks anything of it', () => {
  const lacking: Record<string, (memory: Buffer, piece: number) => void> = {
    'the mark of another address': (memory, piece) =>
      memory.writeBigUInt64LE(BigInt(AT + PAGE) ^ 0x4c833e95n, piece + 8),
    'a piece that is longer than its mapping': (memory, piece) =>
      memory.writeBigUInt64LE(BigInt(298 * PAGE), piece),
    'a small piece': (memory, piece) => memory.writeBigUInt64LE(BigInt(PAGE), piece),
    'no reference to its object': (memory, piece) => memory.writeBigUInt64LE(0n, piece + 192),
    'a table of something else': (memory, piece) => memory.fill(0, piece + PAGE, piece + 20 * PAGE),
  };
  for (const [what, change] of Object.entries(lacking)) {
    const memory = memoryWithTable();
    change(memory, AT - START);
    assert.deepEqual(lockGraphPages(MAPPING, PAGE, reads(memory)), [], what);
  }
});

test('mappings of files, with a name, that are not written, or of another size, and what cannot be read are left alone', () => {
  const read = reads(memoryWithTable());
  const others = [
    MAPPING.replace('00:00 0 ', 'fe:00 4711 /usr/bin/node'),
    MAPPING.replace('0 \n', '0 [heap]\n'),
    MAPPING.replace('rw-p', 'r--p'),
    MAPPING.replace('rw-p', 'rw-s'),
    MAPPING.replace((START + 300 * PAGE).toString(16), (START + 200 * PAGE).toString(16)),
    MAPPING.replace((START + 300 * PAGE).toString(16), (START + 3000 * PAGE).toString(16)),
    '',
  ];
  for (const maps of others) assert.deepEqual(lockGraphPages(maps, PAGE, read), [], maps);
  assert.deepEqual(
    lockGraphPages(MAPPING, PAGE, () => false),
    [],
  );
});

test('this process has one: a runtime that lays it out otherwise, or has none, is to be looked at', (t) => {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return t.skip('not the machine that was looked at');
  const bytes = ownLockGraphPages(PAGE).reduce((sum, { length }) => sum + length, 0);
  assert.ok(bytes >= 250 * PAGE && bytes <= 256 * PAGE, `${bytes} bytes`);
});
