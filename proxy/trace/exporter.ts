import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type {
  Clock,
  ExpectedPeer,
  Logger,
  Resolve,
  ResolvedAddress,
  WorkloadIdentity,
} from '../../workload-identity/index.ts';
import { nodeHttp } from './node-http.ts';
import type { Counter } from '../telemetry/registry.ts';
import { delimited, headOf } from '../../api/proto/wire-format.ts';
import { judge, type Tried } from './export-answer.ts';
import type { Batch } from './span-queue.ts';
import { wait } from './wait.ts';

/** Path of OTLP/HTTP for traces. */
const PATH = '/v1/traces';
/** ms for one try, the connection included. */
const TRY_MS = 10_000;
/** ms before the first and the longest of the waits between tries. */
const BACK_OFF_MS = 1_000;
const MAX_BACK_OFF_MS = 30_000;
/** A collector that is away for longer than these tries take (about a minute) gets newer spans when it is back. */
const MAX_TRIES = 6;
/** Longest answer that is read to its end. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Of `ExportTraceServiceRequest`, `ResourceSpans`. */
const RESOURCE_SPANS = 1;
const RESOURCE = 1;
const SCOPE_SPANS = 2;
const SCOPE = 1;

export interface ExporterOptions {
  /** `host:port` of a collector's OTLP/HTTP receiver. */
  collector: string;
  /** Whom it has to prove to be; undefined: it is plaintext. */
  expect: ExpectedPeer | undefined;
  identity: Pick<WorkloadIdentity, 'clientOptions'>;
  resolve: Resolve;
  /** Source of our connections. */
  localAddress: string;
  clock: Clock;
  random: () => number;
  log: Logger;
  /** Content of the `Resource` and of the `InstrumentationScope` of all spans. */
  resource: Buffer;
  scope: Buffer;
  metrics: ExporterMetrics;
}

export interface ExporterMetrics {
  readonly requests: Counter;
  readonly spans: Counter;
  readonly failures: Counter;
  /** Spans that were given up after the last try. */
  readonly dropped: Counter;
}

/** A request's body. */
interface Message {
  readonly head: Buffer;
  readonly spans: Buffer;
}

/**
 * Sends batches of spans by OTLP/HTTP in protobuf: of OTLP's forms the one that every collector takes and that costs
 * least to write; gRPC would bring the same bytes in a framing that a proxy in front of the collector has to know. The
 * connections are this process's own, which no rule turns back into it, and the requests say that they are not sampled:
 * no sidecar on the way makes a span of the sending of spans.
 */
export class Exporter {
  readonly #options: ExporterOptions;
  readonly #agent: Agent;
  readonly #closing = new AbortController();
  #address: ResolvedAddress = { address: '', port: 0 };
  #failing = false;

  constructor(options: ExporterOptions) {
    this.#options = options;
    this.#agent = collectorAgent(() => this.#connect());
  }

  /** Sends a batch, again where that makes sense. Never rejects. */
  async send(batch: Batch): Promise<void> {
    const { metrics, clock } = this.#options;
    const message = this.#message(batch);
    for (let tries = 1; ; tries++) {
      const tried = await this.#try(message);
      if (tried.kind === 'taken') {
        const rejected = Math.min(tried.rejected, batch.spans);
        metrics.spans.add(batch.spans - rejected);
        metrics.dropped.add(rejected);
        this.#note(rejected > 0 ? tried.why : undefined);
        return;
      }
      metrics.failures.add();
      this.#note(tried.why);
      if (tried.kind === 'refused' || tries === MAX_TRIES || this.#closing.signal.aborted) break;
      await wait(clock, tried.afterMs > 0 ? tried.afterMs : this.#backOffMs(tries), this.#closing.signal);
    }
    metrics.dropped.add(batch.spans);
  }

  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  /** The spans are sent where they stand, behind what goes before them. */
  #message({ bytes, length }: Batch): Message {
    const { resource, scope } = this.#options;
    const spans = bytes.subarray(0, length);
    const scoped = delimited(SCOPE, scope);
    const from = delimited(RESOURCE, resource);
    const inner = Buffer.concat([headOf(SCOPE_SPANS, scoped.length + length), scoped]);
    const outer = headOf(RESOURCE_SPANS, from.length + inner.length + length);
    return { head: Buffer.concat([outer, from, inner]), spans };
  }

  async #try(message: Message): Promise<Tried> {
    this.#options.metrics.requests.add();
    try {
      const { resolve, collector, random } = this.#options;
      const addresses = await resolve(collector);
      const chosen = addresses[Math.floor(random() * addresses.length)];
      if (chosen === undefined) return retry(`${collector} has no address`);
      this.#address = chosen;
      return await this.#post(message);
    } catch (error) {
      return retry((error as Error).message);
    }
  }

  #post({ head, spans }: Message): Promise<Tried> {
    const { collector } = this.#options;
    return new Promise((resolve, reject) => {
      const request: ClientRequest = nodeHttp().request({
        agent: this.#agent,
        host: this.#address.address,
        port: this.#address.port,
        method: 'POST',
        path: PATH,
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(TRY_MS)]),
        headers: {
          host: collector,
          'content-type': 'application/x-protobuf',
          'content-length': head.length + spans.length,
          traceparent: UNSAMPLED,
        },
      });
      request.once('error', reject);
      request.once('response', (answer) => {
        const { statusCode = 0, headers } = answer;
        const told = (body: Buffer): Tried => {
          const retryAfter = headers['retry-after'] ?? '';
          return judge({ status: statusCode, retryAfter, body }, this.#options.clock.now());
        };
        read(answer).then((body) => resolve(told(body)), reject);
      });
      request.write(head);
      request.end(spans);
    });
  }

  #connect(): Socket {
    const { expect, identity, localAddress } = this.#options;
    const { address: host, port } = this.#address;
    const tls = expect === undefined ? undefined : identity.clientOptions({ expect });
    if (expect !== undefined && tls === undefined) throw new Error('there is no certificate yet');
    const from = isIP(host) === isIP(localAddress) ? { localAddress } : {};
    const socket = connectTcp({ host, port, noDelay: true, ...from });
    return tls === undefined ? socket : connectTls({ socket, ...tls });
  }

  #backOffMs(tries: number): number {
    const most = Math.min(MAX_BACK_OFF_MS, BACK_OFF_MS * 2 ** (tries - 1));
    return most * (0.5 + this.#options.random() / 2);
  }

  /** Tells of the first failure, and of the end of failures. */
  #note(failure: string | undefined): void {
    const { log, collector } = this.#options;
    if (failure !== undefined && !this.#failing)
      log.warn({ collector, error: failure }, 'spans cannot be sent');
    if (failure === undefined && this.#failing) log.info({ collector }, 'spans are sent again');
    this.#failing = failure !== undefined;
  }
}

/** A trace that is nobody's, not to be recorded. */
const UNSAMPLED = `00-${'0'.repeat(31)}1-${'0'.repeat(15)}1-00`;

/** One connection, kept: batches come one after the other. */
function collectorAgent(connect: () => Socket): Agent {
  const { Agent: NodeAgent } = nodeHttp();
  const agent = new NodeAgent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = connect;
  return agent;
}

function retry(why: string): Tried {
  return { kind: 'retry', why, afterMs: 0 };
}

/** Reads an answer to its end, so that the connection can be used again. One that is too long tells nothing. */
async function read(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer) {
    length += (chunk as Buffer).length;
    if (length > MAX_ANSWER_BYTES) {
      answer.destroy();
      return NO_BYTES;
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

const NO_BYTES = Buffer.alloc(0);
