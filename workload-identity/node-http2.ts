import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Timer } from './clock.ts';
import type {
  Fields,
  Http2Connect,
  Http2Events,
  Http2Session,
  Http2Stream,
  Http2Target,
  RequestHead,
  StreamEvents,
} from './http2.ts';

/** ms; a peer that vanished without a FIN is noticed after their sum. */
const KEEP_ALIVE_PERIOD_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 10_000;
/** Bytes of received data per stream that its receiver has not taken: control messages are small. */
const WINDOW_BYTES = 1024 * 1024;
const HTTP2_CANCEL = 8;

/** HTTP/2 by Node's own module, which is loaded with the first connection: processes of the data plane never do. */
export const connectNodeHttp2: Http2Connect = (target, events) => new NodeSession(target, events);

class NodeSession implements Http2Session {
  readonly #target: Http2Target;
  readonly #events: Http2Events;
  readonly #socket: TLSSocket;
  #session: ClientHttp2Session | undefined;
  #keepAlive: Timer | undefined;
  #error: Error | undefined;
  #closed = false;

  constructor(target: Http2Target, events: Http2Events) {
    const { host, port, tls, localAddress } = target;
    this.#target = target;
    this.#events = events;
    this.#socket = connectTls({
      ...tls,
      host,
      port,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#socket.on('error', (error) => this.#noteError(error));
    this.#socket.once('close', () => this.#onClose());
    this.#socket.once('secureConnect', () => this.#open());
  }

  get available(): boolean {
    const session = this.#session;
    return session !== undefined && !session.connecting && !session.destroyed && !session.closed;
  }

  request({ authority, path, fields }: RequestHead, events: StreamEvents): Http2Stream {
    const session = this.#session;
    if (session === undefined) throw new Error('there is no connection to open a stream on');
    const stream = session.request({
      ...fields,
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': authority,
      ':path': path,
    });
    return new NodeStream(stream, events, (failure) =>
      // Node ends the streams of a broken connection as if the peer had cancelled them.
      session.destroyed ? ((this.#error ?? failure)?.message ?? 'the connection was lost') : undefined,
    );
  }

  destroy(): void {
    this.#keepAlive?.cancel();
    this.#session?.destroy();
    this.#socket.destroy();
  }

  #open(): void {
    const early = this.#target.anonymous === true;
    const { connect } = process.getBuiltinModule('node:http2');
    const session = connect(`https://${this.#target.host}`, {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    this.#session = session;
    session.on('error', (error) => this.#noteError(error));
    session.once('close', () => this.#onClose());
    session.once('goaway', () => this.#events.draining());
    session.once('remoteSettings', () => {
      this.#askLater(session);
      if (!early) this.#events.ready();
    });
    // Node knows no limit of the peer's yet, and does not wait for one.
    if (early) session.once('connect', () => this.#events.ready());
  }

  #askLater(session: ClientHttp2Session): void {
    this.#keepAlive = this.#target.clock.after(KEEP_ALIVE_PERIOD_MS, () => this.#ask(session));
  }

  #ask(session: ClientHttp2Session): void {
    this.#keepAlive = this.#target.clock.after(KEEP_ALIVE_TIMEOUT_MS, () => {
      this.#noteError(new Error('the peer is silent: it does not answer PING'));
      session.destroy();
    });
    session.ping((error) => {
      this.#keepAlive?.cancel();
      if (error === null && !session.destroyed) this.#askLater(session);
    });
  }

  #noteError(error: Error): void {
    this.#error ??= error;
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keepAlive?.cancel();
    this.#events.closed(this.#error);
  }
}

class NodeStream implements Http2Stream {
  readonly #stream: ClientHttp2Stream;
  #cancelled = false;
  /** Bytes that were handed over and not taken: while there are some no more are read. */
  #unconsumed = 0;

  /** @param lost why the connection was lost; undefined: it was not */
  constructor(
    stream: ClientHttp2Stream,
    events: StreamEvents,
    lost: (failure: Error | undefined) => string | undefined,
  ) {
    this.#stream = stream;
    let failure: Error | undefined;
    const tell = (event: () => void): void => {
      if (!this.#cancelled) event();
    };
    stream.on('response', (headers) => tell(() => events.head(headers[':status'] ?? 0, fieldsOf(headers))));
    let trailers: IncomingHttpHeaders | undefined;
    const tellTrailers = (): void => {
      const headers = trailers;
      trailers = undefined;
      if (headers !== undefined) tell(() => events.trailers(fieldsOf(headers)));
    };
    // Node tells them when they come, ahead of bytes that nobody has read yet.
    stream.on('trailers', (headers) => {
      trailers = headers;
    });
    stream.on('end', tellTrailers);
    stream.on('data', (bytes: Buffer) => {
      if (this.#cancelled) return;
      this.#unconsumed += bytes.length;
      events.data(bytes);
      if (this.#unconsumed > 0) stream.pause();
    });
    stream.on('error', (error) => {
      failure = error;
    });
    stream.on('close', () => {
      tellTrailers();
      const reason = lost(failure);
      const code = stream.rstCode ?? 0;
      tell(() => events.closed(reason === undefined ? { kind: 'closed', code } : { kind: 'lost', reason }));
    });
  }

  write(bytes: Buffer): void {
    if (!this.#stream.writableEnded) this.#stream.write(bytes);
  }

  end(): void {
    this.#stream.end();
  }

  consumed(bytes: number): void {
    this.#unconsumed -= bytes;
    if (this.#unconsumed === 0 && this.#stream.isPaused()) this.#stream.resume();
  }

  cancel(): void {
    this.#cancelled = true;
    // What nobody reads any more must not keep the stream.
    this.#stream.resume();
    if (!this.#stream.closed) this.#stream.close(HTTP2_CANCEL);
  }
}

function fieldsOf(headers: IncomingHttpHeaders): Fields {
  return (name) => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(',') : value;
  };
}
