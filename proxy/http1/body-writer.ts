import type { Head } from '../message/head.ts';
import type { Transport } from '../transport/transport.ts';
import { writeChunk, writeLastChunk } from './head-writer.ts';

/** How a body goes out; 'none' also while no message is under way. */
export type OutgoingBody = 'none' | 'length' | 'chunked' | 'close';

/** Writes one body after the other and holds it to the length that its head declared. */
export class BodyWriter {
  kind: OutgoingBody = 'none';
  #remaining = 0;

  begin(kind: OutgoingBody, length: number): void {
    this.kind = kind;
    this.#remaining = length;
  }

  /** 'mismatch': the body is longer or shorter than declared; the connection can no longer be used. */
  write(
    transport: Transport,
    b: Buffer,
    start: number,
    end: number,
    last: boolean,
  ): 'room' | 'full' | 'mismatch' {
    if (this.kind === 'chunked') {
      const room = writeChunk(transport, b, start, end);
      return toState(last ? writeLastChunk(transport, undefined) : room);
    }
    if (this.kind === 'none') return end > start ? 'mismatch' : 'room';
    if (this.kind === 'length') {
      this.#remaining -= end - start;
      if (this.#remaining < 0 || (last && this.#remaining > 0)) return 'mismatch';
    }
    return toState(end === start || transport.write(b, start, end));
  }

  /** Ends the body; trailers that the framing has no place for are dropped (RFC 9110 section 6.5.2). */
  writeTrailers(transport: Transport, trailers: Head): 'room' | 'full' | 'mismatch' {
    if (this.kind === 'chunked') return toState(writeLastChunk(transport, trailers));
    return this.kind === 'length' && this.#remaining > 0 ? 'mismatch' : 'room';
  }
}

function toState(room: boolean): 'room' | 'full' {
  return room ? 'room' : 'full';
}
