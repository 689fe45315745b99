import type {
  Fields,
  Http2Connect,
  Http2Events,
  Http2Session,
  Http2Stream,
  Http2Target,
  RequestHead,
  StreamEnd,
  StreamEvents,
} from '../../workload-identity/index.ts';
import { causes, type Cause } from '../errors.ts';
import { equalsIgnoreCase, fieldIdOf } from '../message/field-names.ts';
import { Http2Connection } from '../http2/connection.ts';
import { Head } from '../message/head.ts';
import { Exchange, type ResponseSink } from '../message/message.ts';
import { setSpan } from '../bytes/span.ts';
import { connectTls } from '../transport/connect.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, Wrap } from '../transport/transport.ts';

const NO_BYTES = Buffer.alloc(0);
/** Of the request that is being opened: the codec takes it over within the call. */
const requestHead = new Head();

/** HTTP/2 to the control plane by the data plane's codec and transport: strict, with its flow control, its PING and its limits. */
export function http2Connect(wrap: Wrap, timers: TimerWheel): Http2Connect {
  return (target, events) => new Session(target, events, wrap, timers);
}

type State =
  | { kind: 'connecting'; cancel: () => void }
  | { kind: 'connected'; connection: Http2Connection }
  | { kind: 'closed' };

class Session implements Http2Session {
  readonly #events: Http2Events;
  #state: State;

  constructor(target: Http2Target, events: Http2Events, wrap: Wrap, timers: TimerWheel) {
    this.#events = events;
    const cancel = connectTls(target, (error, socket) => {
      if (socket === undefined) this.#closed(error);
      else this.#connected(wrap(socket), target, timers);
    });
    this.#state = { kind: 'connecting', cancel };
  }

  get available(): boolean {
    return this.#state.kind === 'connected' && this.#state.connection.available;
  }

  request(head: RequestHead, events: StreamEvents): Http2Stream {
    if (this.#state.kind !== 'connected') throw new Error('there is no connection to open a stream on');
    return new ControlStream(this.#state.connection, head, events);
  }

  destroy(): void {
    if (this.#state.kind === 'connected') this.#state.connection.destroy();
    else if (this.#state.kind === 'connecting') {
      this.#state.cancel();
      this.#closed(undefined);
    }
  }

  #connected(transport: Transport, target: Http2Target, timers: TimerWheel): void {
    const { anonymous = false } = target;
    const connection = new Http2Connection(transport, {
      side: 'client',
      timers,
      isthmus: false,
      early: anonymous,
      onReady: () => {
        if (!anonymous) this.#events.ready();
      },
      onDraining: () => this.#events.draining(),
      onClose: () => this.#closed(endOf(transport, target)),
    });
    this.#state = { kind: 'connected', connection };
    if (anonymous) this.#events.ready();
  }

  #closed(error: Error | undefined): void {
    this.#state = { kind: 'closed' };
    this.#events.closed(error);
  }
}

function endOf({ errorCode }: Transport, { host, port }: Http2Target): Error | undefined {
  return errorCode === '' ? undefined : new Error(`the connection to ${host}:${port} broke: ${errorCode}`);
}

/** One call: an exchange whose client is a gRPC call of this process. */
class ControlStream implements Http2Stream, ResponseSink {
  readonly #connection: Http2Connection;
  readonly #events: StreamEvents;
  readonly #exchange = new Exchange(this);
  #sent = false;
  #closed = false;

  constructor(connection: Http2Connection, head: RequestHead, events: StreamEvents) {
    this.#connection = connection;
    this.#events = events;
    connection.requestHead(this.#exchange, encode(head), false);
  }

  write(bytes: Buffer): void {
    if (!this.#closed && !this.#sent)
      this.#connection.requestData(this.#exchange, bytes, 0, bytes.length, false);
  }

  end(): void {
    if (this.#closed || this.#sent) return;
    this.#sent = true;
    this.#connection.requestData(this.#exchange, NO_BYTES, 0, 0, true);
  }

  consumed(bytes: number): void {
    if (!this.#closed) this.#connection.responseConsumed(this.#exchange, bytes);
  }

  cancel(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.requestReset(this.#exchange, causes.clientGone);
  }

  responseHead(_x: Exchange, head: Head, end: boolean): void {
    if (!head.isFinal) return;
    this.#events.head(head.status, fieldsOf(head));
    if (end) this.#ended();
  }

  responseData(_x: Exchange, buffer: Buffer, start: number, end: number, last: boolean): void {
    if (end > start) this.#events.data(Buffer.from(buffer.subarray(start, end)));
    if (last) this.#ended();
  }

  responseTrailers(_x: Exchange, trailers: Head): void {
    this.#events.trailers(fieldsOf(trailers));
    this.#ended();
  }

  responseReset(x: Exchange, cause: Cause): void {
    this.#close(
      this.#connection.closed
        ? { kind: 'lost', reason: 'the connection was lost' }
        : { kind: 'closed', code: x.resetCode === 0 ? cause.h2 : x.resetCode },
    );
  }

  requestConsumed(): void {
    // Requests are small; what a peer gives no window for stalls, and the codec resets what stalls.
  }

  /** The answer is whole: nobody needs the rest of the request. */
  #ended(): void {
    if (this.#closed) return;
    if (!this.#sent) this.#connection.requestReset(this.#exchange, causes.clientGone);
    this.#close({ kind: 'closed', code: 0 });
  }

  #close(end: StreamEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed(end);
  }
}

function encode({ authority, path, fields }: RequestHead): Head {
  const head = requestHead;
  head.clear();
  setSpan(head.method, 'POST');
  setSpan(head.scheme, 'https');
  setSpan(head.authority, authority);
  setSpan(head.path, path);
  for (const [name, text] of Object.entries(fields)) {
    const key = Buffer.from(name, 'latin1');
    const value = Buffer.from(text, 'latin1');
    head.add(fieldIdOf(key, 0, key.length), key, 0, key.length, value, 0, value.length);
  }
  return head;
}

function fieldsOf(head: Head): Fields {
  return (name) => {
    const wanted = Buffer.from(name, 'latin1');
    for (let i = 0; i < head.count; i++) {
      const bytes = head.nameBuffer[i];
      if (bytes === undefined) break;
      if (equalsIgnoreCase(bytes, head.nameStart[i] ?? 0, head.nameEnd[i] ?? 0, wanted)) return head.value(i);
    }
    return undefined;
  };
}
