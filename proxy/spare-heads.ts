import { Head } from './head.ts';

/** What a busy moment needs: a head is some kilobytes of arrays. */
const MAX_SPARE_HEADS = 256;
/** Fields of a head that is kept while its request is under way, of which there are as many as requests. */
const SMALL_CAPACITY = 64;
/** Half of them are for what hops add: a head that gets more grows. */
const SMALL_FIELDS = SMALL_CAPACITY / 2;

const spare: Head[] = [];
const spareSmall: Head[] = [];

/** A head that nobody uses; the one that was given back last, whose arrays the processor still has at hand. Its owner empties it. */
export function takeHead(): Head {
  return spare.pop() ?? new Head();
}

/** The same for a copy of a message of so many fields, with room for what hops add. A usual one takes a quarter of the memory. */
export function takeHeadFor(fields: number): Head {
  return fields > SMALL_FIELDS ? takeHead() : (spareSmall.pop() ?? new Head(SMALL_CAPACITY));
}

/** Nobody refers to the head any more. */
export function giveHead(head: Head): void {
  const heads = head.capacity === SMALL_CAPACITY ? spareSmall : spare;
  if (heads.length < MAX_SPARE_HEADS) heads.push(head);
}
