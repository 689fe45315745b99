import { Head } from './head.ts';

/** What a busy moment needs: a head is some kilobytes of arrays. */
const MAX_SPARE_HEADS = 256;
/**
 * Fields of heads that are kept while their requests are under way, of which there are as many as requests. V8 keeps
 * numbers of up to 64 bytes within the array's object, so those of 16 fields are no memory of their own, as those of 64
 * are: 2 KB of a head. What services send has room in the smaller one, a browser's request in the other.
 */
const SMALL_CAPACITIES = [16, 64] as const;
/** Of its fields a half is for what hops add: a head that gets more grows. */
const ROOM = 2;
/**
 * Bytes of a copy that stay with a head: cookies and tokens have room. With those of the longest messages, of 64 KiB, a
 * burst would keep 16 MiB of each kind of head for good.
 */
const KEPT_BYTES = 4 * 1024;

const spare: Head[] = [];
const spareSmall = SMALL_CAPACITIES.map((capacity) => ({ capacity, heads: [] as Head[] }));

/** A head that nobody uses; the one that was given back last, whose arrays the processor still has at hand. Its owner empties it. */
export function takeHead(): Head {
  return spare.pop() ?? new Head();
}

/** The same for a copy of a message of so many fields, with room for what hops add. A usual one takes a fraction of the memory. */
export function takeHeadFor(fields: number): Head {
  for (const { capacity, heads } of spareSmall)
    if (fields * ROOM <= capacity) return heads.pop() ?? new Head(capacity);
  return takeHead();
}

/** Nobody refers to the head any more. */
export function giveHead(head: Head): void {
  head.keepOwn(KEPT_BYTES);
  const heads = sparesOf(head.capacity);
  if (heads.length < MAX_SPARE_HEADS) heads.push(head);
}

function sparesOf(size: number): Head[] {
  for (const { capacity, heads } of spareSmall) if (capacity === size) return heads;
  return spare;
}
