import { copyBytes } from '../bytes/bytes.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';

/** Most bytes that are kept of each part: a record of a request is no copy of it. */
const MOST = { method: 32, authority: 255, path: 2_048, agent: 256, traceId: 64 } as const;

/** Bytes of all parts together. */
export const MOST_TEXT = MOST.method + MOST.authority + MOST.path + MOST.agent + MOST.traceId;

/** Most requests' parts fit, so that memory is seldom taken twice. */
const USUAL = 512;

/** `00-` before the trace id in `traceparent`, and the id's length. */
const TRACE_ID_AT = 3;
const TRACE_ID_DIGITS = 32;
const DASH = 45;
/** Fields whose value is what the log shows, in Linkerd's order. */
const NAMED_BY = [FieldId.b3TraceId, FieldId.requestId, FieldId.amznTraceId] as const;

/** The parts of a request's head that are told of it when it is over: its own bytes, one after the other. */
export class RequestText {
  bytes = Buffer.allocUnsafeSlow(USUAL);
  methodEnd = 0;
  authorityEnd = 0;
  pathEnd = 0;
  agentEnd = 0;
  /** Of whatever field names the trace, or else the request. */
  traceIdEnd = 0;

  take(head: Head): void {
    const { method, authority, path } = head;
    if (this.bytes.length < MOST_TEXT) this.#makeRoom(head);
    this.methodEnd = this.#copy(method.buffer, method.start, method.end, 0, MOST.method);
    this.authorityEnd = this.#copy(
      authority.buffer,
      authority.start,
      authority.end,
      this.methodEnd,
      MOST.authority,
    );
    this.pathEnd = this.#copy(path.buffer, path.start, path.end, this.authorityEnd, MOST.path);
    this.agentEnd = this.#field(head, head.find(FieldId.userAgent), this.pathEnd, MOST.agent);
    this.traceIdEnd = this.#traceId(head, this.agentEnd);
  }

  #makeRoom({ path }: Head): void {
    const needed = MOST_TEXT - MOST.path + Math.min(MOST.path, path.end - path.start);
    if (this.bytes.length < needed) this.bytes = Buffer.allocUnsafeSlow(needed);
  }

  #traceId(head: Head, at: number): number {
    const parent = head.find(FieldId.traceparent);
    if (parent >= 0) {
      const start = (head.valueStart[parent] ?? 0) + TRACE_ID_AT;
      const end = Math.min(start + TRACE_ID_DIGITS, head.valueEnd[parent] ?? 0);
      return this.#copy(head.valueBuffer[parent], start, end, at, MOST.traceId);
    }
    const single = head.find(FieldId.b3);
    if (single >= 0) {
      const end = this.#field(head, single, at, MOST.traceId);
      const dash = this.bytes.subarray(at, end).indexOf(DASH);
      return dash < 0 ? end : at + dash;
    }
    for (const id of NAMED_BY) {
      const named = head.find(id);
      if (named >= 0) return this.#field(head, named, at, MOST.traceId);
    }
    return at;
  }

  #field(head: Head, i: number, at: number, most: number): number {
    if (i < 0) return at;
    return this.#copy(head.valueBuffer[i], head.valueStart[i] ?? 0, head.valueEnd[i] ?? 0, at, most);
  }

  #copy(from: Buffer | undefined, start: number, end: number, at: number, most: number): number {
    if (from === undefined || end <= start) return at;
    return copyBytes(from, start, Math.min(end, start + most), this.bytes, at);
  }
}
