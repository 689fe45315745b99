/** Fields that layers look for: codecs mark them while scanning, so that finding one is a table look-up. */
export const FieldId = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  upgrade: 5,
  expect: 6,
  te: 7,
  trailer: 8,
  keepAlive: 9,
  proxyConnection: 10,
  proxyAuthorization: 11,
  proxyAuthenticate: 12,
  l5dClientId: 13,
  forwarded: 14,
  l5dProxyError: 15,
  l5dOther: 16,
  contentType: 17,
  grpcStatus: 18,
  isthmusPort: 19,
  isthmusTarget: 20,
  isthmusClient: 21,
  isthmusProtocol: 22,
  isthmusTimeout: 23,
  cookie: 24,
  grpcTimeout: 25,
  grpcRetryPushback: 26,
  retryAfter: 27,
  userAgent: 28,
  traceparent: 29,
  tracestate: 30,
  b3: 31,
  b3TraceId: 32,
  b3SpanId: 33,
  b3ParentSpanId: 34,
  b3Sampled: 35,
  b3Flags: 36,
  requestId: 37,
  amznTraceId: 38,
} as const;
export type FieldId = (typeof FieldId)[keyof typeof FieldId];

/** Fields that are looked for together. Made once. */
export class FieldSet {
  /** A bit for each id (modulo 32). */
  readonly bits: number;
  readonly #has = new Uint8Array(Object.keys(FieldId).length);

  constructor(...ids: FieldId[]) {
    let bits = 0;
    for (const id of ids) {
      bits |= 1 << id;
      this.#has[id] = 1;
    }
    this.bits = bits;
  }

  has(id: number): boolean {
    return this.#has[id] === 1;
  }
}
