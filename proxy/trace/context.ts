import { ByteWriter } from '../bytes/byte-writer.ts';
import { hexValue } from '../bytes/characters.ts';
import { FieldId, FieldSet } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import { PARENT_ID_AT, SPAN_ID_AT, SPAN_ID_BYTES, TRACE_ID_BYTES, type Span } from './span.ts';

/**
 * Trace context in requests: W3C (`traceparent`, `tracestate`) and Zipkin's B3 in one field or in several. Where both
 * stand W3C's counts, as at Linkerd's proxy, and what came in one form goes on in that form. Fields of the other one
 * are passed on as they are.
 */

/**
 * What a head says. `none`: nothing that can be read. `undecided` (B3 alone): there is a trace, and nobody has said
 * whether it is to be recorded. `denied`: it says only that nothing is.
 */
export type Told = 'none' | 'denied' | 'undecided' | 'unsampled' | 'sampled';

/** How a context was told, so that it can be told on. */
export type Form = 'w3c' | 'b3' | 'b3-fields';

const SAMPLED = 1;
/** Bits that are passed on: sampled, and (W3C level 2) random. */
const KNOWN_FLAGS = 3;
const DASH = 45;
const ONE = 49;
const SMALL_A = 97;
const SMALL_D = 100;
const SMALL_F = 102;
/** `00-{32}-{16}-{2}`. */
const TRACEPARENT_LENGTH = 55;
const TRACE_AT = 3;
const PARENT_AT = 36;
const FLAGS_AT = 53;

const TRACEPARENT = Buffer.from('traceparent');
const B3_PARENT = Buffer.from('x-b3-parentspanid');
const B3_SAMPLED = Buffer.from('x-b3-sampled');
const VERSION = Buffer.from('00-');
const SEPARATOR = Buffer.from('-');
const YES = Buffer.from('1');

/** Reads and writes the context of one head after the other. */
export class TraceContext {
  /** Of what was read last. */
  form: Form = 'w3c';
  readonly #writer = new ByteWriter(Buffer.alloc(0));

  /** Puts what the head tells into the span: the trace's id and the sender's span. */
  read(head: Head, span: Span): Told {
    span.hasParent = false;
    span.flags = 0;
    const told = this.#read(head, span);
    if (told === 'none' || told === 'denied') span.hasParent = false;
    return told;
  }

  #read(head: Head, span: Span): Told {
    if (!tellsSomething(head)) return 'none';
    if (head.find(FieldId.traceparent) >= 0) {
      this.form = 'w3c';
      return readTraceparent(head, span);
    }
    const single = head.find(FieldId.b3);
    if (single >= 0) {
      this.form = 'b3';
      return readB3(head, single, span);
    }
    this.form = 'b3-fields';
    return readB3Fields(head, span);
  }

  /** Tells the next hop that the span is the parent, and that it is sampled. What could not be read goes. */
  write(head: Head, span: Span): void {
    if (!span.hasParent) this.#begin(head, span);
    else if (this.form === 'w3c') this.#traceparent(head, head.find(FieldId.traceparent), span);
    else if (this.form === 'b3') this.#b3(head, span);
    else this.#b3Fields(head, span);
  }

  /** A new trace: as W3C has it, which everybody reads. */
  #begin(head: Head, span: Span): void {
    head.removeAll(OLD_CONTEXT);
    if (head.add(FieldId.traceparent, TRACEPARENT, 0, TRACEPARENT.length, span.field, 0, 0))
      this.#traceparent(head, head.count - 1, span);
  }

  #traceparent(head: Head, i: number, span: Span): void {
    const out = this.#into(span);
    out.text(VERSION);
    out.hex(span.ids, 0, TRACE_ID_BYTES);
    out.text(SEPARATOR);
    out.hex(span.ids, SPAN_ID_AT, SPAN_ID_AT + SPAN_ID_BYTES);
    out.text(SEPARATOR);
    out.padded(span.flags, 2);
    setValue(head, i, span.field, 0, out.at);
  }

  #b3(head: Head, span: Span): void {
    const i = head.find(FieldId.b3);
    const value = head.valueBuffer[i];
    if (value === undefined) return;
    const out = this.#into(span);
    const start = head.valueStart[i] ?? 0;
    // The trace's id as it came: it may be the short one.
    out.bytes(value, start, start + b3TraceDigits(value, start, head.valueEnd[i] ?? 0));
    out.text(SEPARATOR);
    out.hex(span.ids, SPAN_ID_AT, SPAN_ID_AT + SPAN_ID_BYTES);
    out.text(SEPARATOR);
    out.text(YES);
    out.text(SEPARATOR);
    out.hex(span.ids, PARENT_ID_AT, PARENT_ID_AT + SPAN_ID_BYTES);
    setValue(head, i, span.field, 0, out.at);
  }

  #b3Fields(head: Head, span: Span): void {
    const out = this.#into(span);
    out.hex(span.ids, SPAN_ID_AT, SPAN_ID_AT + SPAN_ID_BYTES);
    const own = out.at;
    out.hex(span.ids, PARENT_ID_AT, PARENT_ID_AT + SPAN_ID_BYTES);
    setValue(head, head.find(FieldId.b3SpanId), span.field, 0, own);
    const parent = head.find(FieldId.b3ParentSpanId);
    if (parent >= 0) setValue(head, parent, span.field, own, out.at);
    else head.add(FieldId.b3ParentSpanId, B3_PARENT, 0, B3_PARENT.length, span.field, own, out.at);
    if (head.find(FieldId.b3Sampled) < 0 && head.find(FieldId.b3Flags) < 0)
      head.add(FieldId.b3Sampled, B3_SAMPLED, 0, B3_SAMPLED.length, YES, 0, YES.length);
  }

  #into(span: Span): ByteWriter {
    this.#writer.buffer = span.field;
    this.#writer.at = 0;
    return this.#writer;
  }
}

/** Most requests have none of the fields: one look at each of theirs says so. */
function tellsSomething(head: Head): boolean {
  for (let i = 0; i < head.count; i++) {
    const id = head.id[i] ?? 0;
    if (id >= FieldId.traceparent && id <= FieldId.b3Flags) return true;
  }
  return false;
}

/** A trace that begins anew has no use for these: what stood in them was not to be read. */
const OLD_CONTEXT = new FieldSet(
  FieldId.traceparent,
  FieldId.tracestate,
  FieldId.b3,
  FieldId.b3TraceId,
  FieldId.b3SpanId,
  FieldId.b3ParentSpanId,
  FieldId.b3Sampled,
  FieldId.b3Flags,
);

function setValue(head: Head, i: number, buffer: Buffer, start: number, end: number): void {
  head.valueBuffer[i] = buffer;
  head.valueStart[i] = start;
  head.valueEnd[i] = end;
}

/** W3C Trace Context section 3.2: anything else than it says is as if there were nothing. */
function readTraceparent(head: Head, span: Span): Told {
  const i = head.find(FieldId.traceparent);
  const value = head.valueBuffer[i];
  const start = head.valueStart[i] ?? 0;
  const length = (head.valueEnd[i] ?? 0) - start;
  if (value === undefined || head.find(FieldId.traceparent, i + 1) >= 0) return 'none';
  if (length < TRACEPARENT_LENGTH) return 'none';
  const version = byteAt(value, start);
  // Later versions may have more behind another dash.
  if (version < 0 || version === 0xff || (version === 0 && length > TRACEPARENT_LENGTH)) return 'none';
  if (length > TRACEPARENT_LENGTH && value[start + TRACEPARENT_LENGTH] !== DASH) return 'none';
  for (const dash of [TRACE_AT, PARENT_AT, FLAGS_AT]) if (value[start + dash - 1] !== DASH) return 'none';
  const flags = byteAt(value, start + FLAGS_AT);
  if (flags < 0 || !readId(value, start + TRACE_AT, TRACE_ID_BYTES, span.ids, 0)) return 'none';
  if (!readId(value, start + PARENT_AT, SPAN_ID_BYTES, span.ids, PARENT_ID_AT)) return 'none';
  span.hasParent = true;
  span.flags = flags & KNOWN_FLAGS;
  return (flags & SAMPLED) === SAMPLED ? 'sampled' : 'unsampled';
}

/** Of `0`, `1`, `d` alone only the first says something: without ids there is nothing to belong to. */
function readB3(head: Head, i: number, span: Span): Told {
  const value = head.valueBuffer[i];
  const start = head.valueStart[i] ?? 0;
  const end = head.valueEnd[i] ?? 0;
  if (value === undefined || head.find(FieldId.b3, i + 1) >= 0) return 'none';
  if (end - start === 1) return value[start] === ZERO ? 'denied' : 'none';
  const digits = b3TraceDigits(value, start, end);
  const spanAt = start + digits + 1;
  if (digits === 0 || !readB3Ids(value, start, digits, value, spanAt, end, span)) return 'none';
  const flagAt = spanAt + 2 * SPAN_ID_BYTES + 1;
  if (flagAt > end) return 'undecided';
  if (value[flagAt - 1] !== DASH) return 'none';
  return flagAt >= end ? 'none' : b3Flag(value[flagAt], span);
}

const ZERO = 48;

function readB3Fields(head: Head, span: Span): Told {
  const sampledAt = head.find(FieldId.b3Sampled);
  const sampled = head.valueBuffer[sampledAt]?.[head.valueStart[sampledAt] ?? 0];
  const flagsAt = head.find(FieldId.b3Flags);
  const isDebug = flagsAt >= 0 && head.valueBuffer[flagsAt]?.[head.valueStart[flagsAt] ?? 0] === ONE;
  const traceAt = head.find(FieldId.b3TraceId);
  const spanAt = head.find(FieldId.b3SpanId);
  const trace = head.valueBuffer[traceAt];
  const parent = head.valueBuffer[spanAt];
  if (traceAt < 0 || spanAt < 0 || trace === undefined || parent === undefined)
    return sampledAt >= 0 && isNo(sampled) ? 'denied' : 'none';
  const start = head.valueStart[traceAt] ?? 0;
  const digits = (head.valueEnd[traceAt] ?? 0) - start;
  const parentAt = head.valueStart[spanAt] ?? 0;
  if (digits !== 2 * TRACE_ID_BYTES && digits !== TRACE_ID_BYTES) return 'none';
  if (!readB3Ids(trace, start, digits, parent, parentAt, head.valueEnd[spanAt] ?? 0, span)) return 'none';
  if (isDebug) return b3Flag(SMALL_D, span);
  return sampledAt < 0 ? 'undecided' : b3Flag(isNo(sampled) ? ZERO : ONE, span);
}

/** `0` or, as old senders write it, `false`. */
function isNo(c: number | undefined): boolean {
  return c === ZERO || c === SMALL_F;
}

/** @param digits of the trace's id: 32, or the old 16, which count as its last */
function readB3Ids(
  trace: Buffer,
  traceAt: number,
  digits: number,
  parent: Buffer,
  parentAt: number,
  parentEnd: number,
  span: Span,
): boolean {
  if (parentEnd - parentAt < 2 * SPAN_ID_BYTES) return false;
  const bytes = digits / 2;
  span.ids.fill(0, 0, TRACE_ID_BYTES - bytes);
  if (!readId(trace, traceAt, bytes, span.ids, TRACE_ID_BYTES - bytes)) return false;
  span.hasParent = readId(parent, parentAt, SPAN_ID_BYTES, span.ids, PARENT_ID_AT);
  return span.hasParent;
}

function b3Flag(c: number | undefined, span: Span): Told {
  if (c !== ONE && c !== SMALL_D) return c === ZERO ? 'unsampled' : 'none';
  span.flags = SAMPLED;
  return 'sampled';
}

/** Digits before the first dash: 32 or 16; 0: another number. */
function b3TraceDigits(value: Buffer, start: number, end: number): number {
  for (const digits of [2 * TRACE_ID_BYTES, TRACE_ID_BYTES])
    if (start + digits < end && value[start + digits] === DASH) return digits;
  return 0;
}

/** Reads lower-case hexadecimal. False: something else stands there, or zeros alone. */
function readId(from: Buffer, at: number, bytes: number, to: Buffer, toAt: number): boolean {
  let any = 0;
  for (let i = 0; i < bytes; i++) {
    const byte = byteAt(from, at + 2 * i);
    if (byte < 0) return false;
    to[toAt + i] = byte;
    any |= byte;
  }
  return any !== 0;
}

/** -1: not two lower-case digits. */
function byteAt(from: Buffer, at: number): number {
  const high = lowerHex(from[at] ?? 0);
  const low = lowerHex(from[at + 1] ?? 0);
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

function lowerHex(c: number): number {
  return c < SMALL_A && c > 57 ? -1 : hexValue(c);
}
