import { Head } from './message.ts';

/** What a busy moment needs: a head is some kilobytes of arrays. */
const MAX_SPARE_HEADS = 256;

const spare: Head[] = [];

/** A head that nobody uses; the one that was given back last, whose arrays the processor still has at hand. Its owner empties it. */
export function takeHead(): Head {
  return spare.pop() ?? new Head();
}

/** Nobody refers to the head any more. */
export function giveHead(head: Head): void {
  if (spare.length < MAX_SPARE_HEADS) spare.push(head);
}
