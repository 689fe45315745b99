/** What a connection of ALPN `transport.l5d.io/v1` says first. */
export interface TransportHeader {
  port: number;
  /** Empty: the connection is for `port` of this pod. */
  name: string;
  /** undefined: opaque bytes. */
  protocol: 'http1' | 'http2' | undefined;
}

/** Bytes of a header, preface and length included. */
export declare function encodeTransportHeader(header: TransportHeader): Buffer;

/** Reads a header in any pieces. */
export declare class TransportHeaderReader {
  /**
   * Returns the number of bytes of `buffer[start, end)` that belong to the header, when it is complete (then `header` is set); -1: needs more; throws nothing:
   * -2 means malformed, `error` says why.
   */
  push(buffer: Buffer, start: number, end: number): number;
  readonly header: TransportHeader | undefined;
  readonly error: string;
}
