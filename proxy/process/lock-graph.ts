import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Mapping } from './program-pages.ts';

/** Reads the process's memory into a buffer; false: there is none at this address. */
export type ReadMemory = (address: number, into: Buffer) => boolean;

const MIB = 1024 * 1024;
/** Mappings that the table may lie in: it has one for itself, which the kernel may have joined with a neighbour. */
const MOST_BYTES = 2 * MIB;
/** Pages that are read at once: few calls, and little memory for that. */
const AT_ONCE = 16;
/** What abseil's allocator puts before a piece: its length, a mark made with its address, whose it is, and eight bytes so that the piece is aligned. */
const HEADER_BYTES = 32;
const MARK = 0x4c833e95;
/** The table is 262,139 numbers of four bytes; what stands before and behind it is below a page each. */
const LEAST_PAGES = 250;

/** `address-address permissions offset device inode`, and no name: what is mapped for data, by nobody who tells his name. */
const UNNAMED = /^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 *$/;

/**
 * The pages of the table in which the runtime's mutexes (abseil's, built so that they look for deadlocks) keep which of
 * them was taken before which other: 1 MiB of -1, of which a few are used. Found by what the allocator and the table
 * itself have written: the mark, which holds the address it stands at, and a reference from the table to the object
 * that it is part of. Pages that hold anything but -1 are left out, and where less is found than such a table has, all
 * are.
 * @param maps /proc/self/maps
 * @param page bytes of a page
 */
export function lockGraphPages(maps: string, page: number, read: ReadMemory): Mapping[] {
  const bytes = Buffer.alloc(AT_ONCE * page);
  for (const line of maps.split('\n')) {
    const [, from = '', to = ''] = UNNAMED.exec(line) ?? [];
    const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    if (!(end - start >= MIB && end - start <= MOST_BYTES)) continue;
    let found: Mapping | undefined;
    eachPage({ start, length: end - start }, bytes, page, read, (address, at) => {
      if (isMarked(bytes, at, address)) found ??= pieceAt(bytes.subarray(at, at + page), address, end);
    });
    if (found !== undefined) return unusedPages(found, bytes, page, read);
  }
  return [];
}

/** Calls for each page that can be read, with its address and where it lies in `bytes`. */
function eachPage(
  { start, length }: Mapping,
  bytes: Buffer,
  page: number,
  read: ReadMemory,
  seen: (address: number, at: number) => void,
): void {
  for (let from = start; from < start + length; from += bytes.length) {
    const n = Math.min(bytes.length, start + length - from);
    if (!read(from, bytes.subarray(0, n))) continue;
    for (let at = 0; at + page <= n; at += page) seen(from + at, at);
  }
}

function isMarked(bytes: Buffer, at: number, address: number): boolean {
  const [low, high] = [address | 0, Math.floor(address / 2 ** 32)];
  return (bytes.readInt32LE(at + 8) ^ MARK) === low && bytes.readUInt32LE(at + 12) === high;
}

/** The piece of which this is the first page, if it is the table's; it ends before `end`. */
function pieceAt(first: Buffer, address: number, end: number): Mapping | undefined {
  const length = Number(first.readBigUInt64LE(0));
  if (length < MIB || address + length > end) return undefined;
  // Before the numbers stands where the list of nodes lies, which is the first of the object.
  const object = BigInt(address + HEADER_BYTES);
  for (let at = HEADER_BYTES; at + 12 <= first.length; at += 8)
    if (first.readBigUInt64LE(at) === object && first.readInt32LE(at + 8) === -1)
      return { start: address, length };
  return undefined;
}

/** Those of a piece that lie one behind the other together. */
function unusedPages(piece: Mapping, bytes: Buffer, page: number, read: ReadMemory): Mapping[] {
  const found: { start: number; length: number }[] = [];
  const unused = Buffer.alloc(page, 0xff);
  let pages = 0;
  eachPage(piece, bytes, page, read, (start, at) => {
    if (unused.compare(bytes, at, at + page) !== 0) return;
    pages++;
    const last = found.at(-1);
    if (last !== undefined && last.start + last.length === start) last.length += page;
    else found.push({ start, length: page });
  });
  return pages >= LEAST_PAGES ? found : [];
}

/** Of this process. Throws where the kernel does not let it read its own memory. */
export function ownLockGraphPages(page: number): Mapping[] {
  const memory = openSync('/proc/self/mem', 'r');
  try {
    const read: ReadMemory = (address, into) => {
      try {
        return readSync(memory, into, 0, into.length, address) === into.length;
      } catch {
        // It is no longer mapped.
        return false;
      }
    };
    return lockGraphPages(readFileSync('/proc/self/maps', 'latin1'), page, read);
  } finally {
    closeSync(memory);
  }
}
