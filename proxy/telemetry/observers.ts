import type { AccessLog } from '../access-log/access-log.ts';
import type { LogLine } from '../access-log/log-line.ts';
import type { Endpoint } from '../balance/endpoint.ts';
import { type Cause, toldStatus } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import { numberAttribute, textAttribute } from '../trace/attributes.ts';
import { Span } from '../trace/span.ts';
import { ATTRIBUTES, SpanKind } from '../trace/span-encoder.ts';
import type { Tracer } from '../trace/tracer.ts';
import { Attempt } from '../upstream/attempt.ts';
import { isFailure, NO_GRPC_STATUS } from './classify.ts';
import type { Outcome } from './http-metrics.ts';
import type { Observed, RequestObserver } from './observer.ts';
import { RequestText } from './request-text.ts';
import type { WallTime } from './wall-time.ts';

/** Records that are kept for other requests: each is about a kilobyte. */
const MAX_SPARE = 256;

/** Who asks, as far as it is known. */
export interface Requester {
  readonly address: string;
  readonly port: number;
  /** Its identity; empty: it has proved none. */
  readonly name: string;
}

export interface ObserversOptions {
  /** Undefined: nobody wants one. */
  accessLog: AccessLog | undefined;
  tracer: Tracer | undefined;
  wall: WallTime;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Makes the observers of stacks: the access log, of what comes in, and spans of either direction. */
export class Observers {
  readonly #options: ObserversOptions;
  readonly #spare: Followed[] = [];
  #door: RequestObserver | undefined;

  constructor(options: ObserversOptions) {
    this.#options = options;
  }

  /** Of the requests of one client to this pod. The sidecar of a client of the mesh has decided already what is sampled. */
  inbound(client: Requester, isMeshed: boolean): RequestObserver {
    const known = this.#client(client);
    return new Observer(this.#options, this.#spare, {
      kind: SpanKind.server,
      fixed: () => INBOUND,
      client: () => known,
      endpoint: () => undefined,
      mayBegin: !isMeshed,
      logs: true,
    });
  }

  /** Of the requests of this pod's apps to one target. @param authority as metrics show it */
  outbound(authority: () => string, endpoint: (x: Exchange) => Endpoint | undefined): RequestObserver {
    const nobody: KnownClient = { line: undefined, attributes: NO_BYTES };
    return new Observer(this.#options, this.#spare, {
      kind: SpanKind.client,
      fixed: target('outbound', authority),
      client: () => nobody,
      endpoint,
      mayBegin: true,
      logs: false,
    });
  }

  /** Of the requests through a gateway to one target. Who asks stands in the slot `x.peer`: the same `Requester` for the same client. */
  gateway(authority: () => string, endpoint: (x: Exchange) => Endpoint | undefined): RequestObserver {
    const known = new WeakMap<Requester, KnownClient>();
    const client = (x: Exchange): KnownClient => {
      const who = x.peer as Requester;
      let found = known.get(who);
      if (found === undefined) known.set(who, (found = this.#client(who)));
      return found;
    };
    return new Observer(this.#options, this.#spare, {
      kind: SpanKind.server,
      fixed: target('gateway', authority),
      client,
      endpoint,
      mayBegin: false,
      logs: true,
    });
  }

  /** A gateway turns a request away before it comes to any target. */
  refused(requester: Requester, x: Exchange, head: Head, cause: Cause): void {
    this.#door ??= this.gateway(NOWHERE, () => undefined);
    x.peer = requester;
    const { status, grpcStatus = NO_GRPC_STATUS } = toldStatus(cause, x.grpc);
    this.#door.begin(x, head)?.end(x, {
      status,
      success: !isFailure(status, grpcStatus),
      latencyMs: 0,
      grpcStatus,
      error: cause.code,
    });
  }

  #client({ address, port, name }: Requester): KnownClient {
    const at = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    return {
      line: this.#options.accessLog?.client({ address: at, identity: name }),
      attributes: Buffer.concat([
        textAttribute(ATTRIBUTES, 'client.address', address),
        ...(name === '' ? [] : [textAttribute(ATTRIBUTES, 'isthmus.client_id', name)]),
      ]),
    };
  }
}

const NOWHERE = (): string => '';

const INBOUND = textAttribute(ATTRIBUTES, 'isthmus.direction', 'inbound');

/** What is told of a client, made once. */
interface KnownClient {
  readonly line: LogLine | undefined;
  readonly attributes: Buffer;
}

/** What an observer of one stack knows of it. */
interface Stack {
  readonly kind: SpanKind;
  readonly fixed: () => Buffer;
  readonly client: (x: Exchange) => KnownClient;
  readonly endpoint: (x: Exchange) => Endpoint | undefined;
  /** Traces begin here. */
  readonly mayBegin: boolean;
  readonly logs: boolean;
}

class Observer implements RequestObserver {
  readonly #options: ObserversOptions;
  readonly #spare: Followed[];
  readonly #stack: Stack;

  constructor(options: ObserversOptions, spare: Followed[], stack: Stack) {
    this.#options = options;
    this.#spare = spare;
    this.#stack = stack;
  }

  begin(x: Exchange, head: Head): Observed | undefined {
    const { tracer, accessLog, wall } = this.#options;
    const { mayBegin, logs } = this.#stack;
    const record = this.#spare.pop() ?? new Followed();
    const traced = tracer?.begin(head, record.span, mayBegin) === true;
    if (!traced && (accessLog === undefined || !logs)) {
      this.#spare.push(record);
      return undefined;
    }
    record.begin(this, x, head, traced, wall.of(x.startedAt));
    return record;
  }

  end(record: Followed, x: Exchange, outcome: Outcome): void {
    const { tracer, accessLog } = this.#options;
    const stack = this.#stack;
    const { line, attributes } = stack.client(x);
    record.status = outcome.status;
    record.totalMs = outcome.latencyMs;
    const attempt = x.attempt instanceof Attempt ? x.attempt : undefined;
    if (record.traced) {
      const endpoint = stack.endpoint(x);
      record.kind = stack.kind;
      record.fixed = stack.fixed();
      record.client = attributes;
      record.peer = endpoint === undefined ? NO_BYTES : peerAttributes(endpoint);
      record.resends = attempt?.retries ?? 0;
      tracer?.end(record.span, record, outcome);
    }
    if (line !== undefined) {
      const sentAt = attempt?.sentAt ?? 0;
      record.processingMs = sentAt === 0 ? outcome.latencyMs : sentAt - x.startedAt;
      accessLog?.write(line, record);
    }
    if (this.#spare.length < MAX_SPARE) this.#spare.push(record);
  }
}

/** One request that is followed: all that is told of it at its end. Used again for another one. */
class Followed implements Observed {
  readonly text = new RequestText();
  readonly span = new Span();
  traced = false;
  startedAt = 0;
  http2 = false;
  requestBytes = 0;
  responseBytes = 0;
  status = 0;
  processingMs = 0;
  totalMs = 0;
  resends = 0;
  kind: SpanKind = SpanKind.server;
  fixed: Buffer = NO_BYTES;
  client: Buffer = NO_BYTES;
  peer: Buffer = NO_BYTES;
  #owner: Observer | undefined;

  begin(owner: Observer, x: Exchange, head: Head, traced: boolean, startedAt: number): void {
    this.#owner = owner;
    this.traced = traced;
    this.startedAt = startedAt;
    this.http2 = x.http2;
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.text.take(head);
  }

  end(x: Exchange, outcome: Outcome): void {
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.end(this, x, outcome);
  }
}

/** Attributes of a target, made again when it gets its name. */
function target(direction: string, authority: () => string): () => Buffer {
  let of: string | undefined;
  let made = NO_BYTES;
  return () => {
    const name = authority();
    if (name === of) return made;
    of = name;
    made = Buffer.concat([
      textAttribute(ATTRIBUTES, 'isthmus.direction', direction),
      textAttribute(ATTRIBUTES, 'isthmus.authority', name),
    ]);
    return made;
  };
}

const peers = new WeakMap<Endpoint, Buffer>();

function peerAttributes(endpoint: Endpoint): Buffer {
  let made = peers.get(endpoint);
  if (made === undefined) {
    const { address, port, identity } = endpoint;
    const id = identity?.spiffeId ?? identity?.dnsName;
    made = Buffer.concat([
      textAttribute(ATTRIBUTES, 'network.peer.address', address),
      numberAttribute(ATTRIBUTES, 'network.peer.port', port),
      ...(id === undefined ? [] : [textAttribute(ATTRIBUTES, 'isthmus.server_id', id)]),
    ]);
    peers.set(endpoint, made);
  }
  return made;
}
