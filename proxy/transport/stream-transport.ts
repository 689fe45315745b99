import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { BaseTransport } from './base.ts';
import { recycle } from './buffers.ts';
import { SocketCarrier } from './carrier.ts';
import { socketOf, type Connection } from './tcp-connection.ts';
import { beginCallback, endCallback } from './turn.ts';
import type { Transport } from './transport.ts';

/** The fallback: only the documented API of sockets. Costs about a third more CPU per small request than socket handles. */
class StreamTransport extends BaseTransport {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    const encrypted = socket instanceof TLSSocket;
    super(new SocketCarrier(socket, encrypted), encrypted);
    this.#socket = socket;
    this.deferUntilHandlerSet(undefined);
    socket.on('data', (chunk: Buffer) => {
      beginCallback();
      try {
        this.received(chunk, 0, chunk.length);
      } finally {
        endCallback();
      }
    });
    if (socket.readableEnded) this.receivedEnd();
    socket.on('end', () => {
      beginCallback();
      try {
        this.receivedEnd();
      } finally {
        endCallback();
      }
    });
    // Accepted sockets come paused: a listener alone would not start them.
    socket.resume();
  }

  protected override send(buffer: Buffer, length: number): void {
    this.inFlight += length;
    this.#socket.write(buffer.subarray(0, length), (error) => {
      if (error === undefined || error === null) recycle(buffer);
      beginCallback();
      try {
        this.written(length);
      } finally {
        endCallback();
      }
    });
  }

  override pause(): void {
    this.#socket.pause();
  }

  override resume(): void {
    this.#socket.resume();
  }
}

/** A transport on the public stream API. */
export function wrapStream(connection: Connection): Transport {
  return new StreamTransport(socketOf(connection));
}
