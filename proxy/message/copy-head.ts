import { copyBytes } from '../bytes/bytes.ts';
import type { FieldId } from './field-id.ts';
import { Head } from './head.ts';
import { lastingOf } from './lasting-field.ts';
import type { HeadSpan } from './lasting-field.ts';
import { pointAt } from '../bytes/span.ts';
import type { Span } from '../bytes/span.ts';

const EMPTY = Buffer.alloc(0);

/**
 * A copy of a head that stays valid: for who has to wait before passing it on. `copy` is written over when given, its
 * bytes too. Lasting fields need no copy.
 */
export function copyHead(head: Head, copy: Head = new Head()): Head {
  copy.clear();
  const { block } = head;
  const size = block.end - block.start;
  const bytes = copy.own(size + looseBytes(head));
  if (size > 0) pointAt(copy.block, bytes, 0, copyBytes(block.buffer, block.start, block.end, bytes, 0));
  let at = copySpan(head.method, copy.method, block, bytes, size);
  at = copySpan(head.path, copy.path, block, bytes, at);
  at = copySpan(head.authority, copy.authority, block, bytes, at);
  at = copySpan(head.scheme, copy.scheme, block, bytes, at);
  for (let i = 0; i < head.count; i++) at = copyField(head, i, copy, bytes, at);
  copy.status = head.status;
  copy.contentLength = head.contentLength;
  copy.close = head.close;
  return copy;
}

/** Bytes of spans that lie outside the block. */
function looseBytes(head: Head): number {
  const { block } = head;
  let size = looseSpan(head.method, block) + looseSpan(head.path, block);
  size += looseSpan(head.authority, block) + looseSpan(head.scheme, block);
  for (let i = 0; i < head.count; i++) {
    if (head.lasting(i) !== undefined) continue;
    size += looseRun(head.nameBuffer[i], head.nameStart[i] ?? 0, head.nameEnd[i] ?? 0, block);
    size += looseRun(head.valueBuffer[i], head.valueStart[i] ?? 0, head.valueEnd[i] ?? 0, block);
  }
  return size;
}

function looseSpan(span: HeadSpan, block: Span): number {
  return lastingOf(span) === undefined ? looseRun(span.buffer, span.start, span.end, block) : 0;
}

function looseRun(buffer: Buffer | undefined, start: number, end: number, block: Span): number {
  return isWithin(block, buffer, start, end) ? 0 : end - start;
}

function isWithin(block: Span, buffer: Buffer | undefined, start: number, end: number): boolean {
  return buffer === block.buffer && start >= block.start && end <= block.end;
}

/** Returns where the next loose bytes go. */
function copySpan(from: HeadSpan, to: HeadSpan, block: Span, bytes: Buffer, at: number): number {
  to.origin = lastingOf(from);
  if (to.origin !== undefined) {
    pointAt(to, from.buffer, from.start, from.end);
    return at;
  }
  const length = from.end - from.start;
  if (isWithin(block, from.buffer, from.start, from.end)) {
    const start = from.start - block.start;
    pointAt(to, bytes, start, start + length);
    return at;
  }
  pointAt(to, bytes, at, copyBytes(from.buffer, from.start, from.end, bytes, at));
  return at + length;
}

/** Returns where the next loose bytes go. */
function copyField(head: Head, i: number, copy: Head, bytes: Buffer, at: number): number {
  const lasting = head.lasting(i);
  if (lasting !== undefined) {
    copy.addLasting((head.id[i] ?? 0) as FieldId, lasting);
    return at;
  }
  const { block } = head;
  let nameStart = head.nameStart[i] ?? 0;
  let nameEnd = head.nameEnd[i] ?? 0;
  let valueStart = head.valueStart[i] ?? 0;
  let valueEnd = head.valueEnd[i] ?? 0;
  let next = at;
  if (isWithin(block, head.nameBuffer[i], nameStart, nameEnd)) {
    nameStart -= block.start;
    nameEnd -= block.start;
  } else {
    next = copyBytes(head.nameBuffer[i] ?? EMPTY, nameStart, nameEnd, bytes, next);
    nameStart = at;
    nameEnd = next;
  }
  if (isWithin(block, head.valueBuffer[i], valueStart, valueEnd)) {
    valueStart -= block.start;
    valueEnd -= block.start;
  } else {
    const value = next;
    next = copyBytes(head.valueBuffer[i] ?? EMPTY, valueStart, valueEnd, bytes, next);
    valueStart = value;
    valueEnd = next;
  }
  copy.add((head.id[i] ?? 0) as FieldId, bytes, nameStart, nameEnd, bytes, valueStart, valueEnd);
  copy.sensitive[i] = head.sensitive[i] ?? 0;
  return next;
}
