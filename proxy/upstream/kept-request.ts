import { copyHead } from '../message/copy-head.ts';
import type { Head } from '../message/head.ts';
import { giveHead, takeHeadFor } from '../message/spare-heads.ts';

/** Most requests have no body. */
const NO_CHUNKS: Buffer[] = [];
/** What a busy moment needs. */
const MAX_SPARE = 256;

const spare: KeptRequest[] = [];

/**
 * A request as it came, for as long as it may have to be sent again. One is used for many requests, which makes no
 * garbage: what it points at is as old as itself, but for bodies, which few requests have. Who keeps one gives it back
 * once.
 */
export class KeptRequest {
  /** Undefined: nobody has it. */
  head: Head | undefined = undefined;
  body: Buffer[] = NO_CHUNKS;
  bodyBytes = 0;
  trailers: Head | undefined = undefined;
  /** The whole request has come. */
  ended = false;
  /** Bytes of the body that the client was credited for. */
  credited = 0;

  /** Adds to the body. */
  add(buffer: Buffer, start: number, end: number): void {
    if (this.body === NO_CHUNKS) this.body = [];
    this.body.push(Buffer.from(buffer.subarray(start, end)));
  }
}

/** A copy of the head, and nothing behind it yet. */
export function keepRequest(head: Head, ended: boolean): KeptRequest {
  const kept = spare.pop() ?? new KeptRequest();
  kept.head = copyHead(head, takeHeadFor(head.count));
  kept.ended = ended;
  return kept;
}

/** Nobody refers to it any more, nor to its head. */
export function forgetRequest(kept: KeptRequest): void {
  if (kept.head !== undefined) giveHead(kept.head);
  kept.head = undefined;
  kept.body = NO_CHUNKS;
  kept.bodyBytes = 0;
  kept.trailers = undefined;
  kept.credited = 0;
  if (spare.length < MAX_SPARE) spare.push(kept);
}
