import { MAX_ESCAPED, type ByteWriter } from '../bytes/byte-writer.ts';
import { MOST_TEXT, type RequestText } from '../telemetry/request-text.ts';
import type { Timestamps } from '../telemetry/wall-time.ts';

/** Formats of Linkerd's proxy: `json`, and `apache`, the Common Log Format with the client's address and identity. */
export const LOG_FORMATS = ['json', 'apache'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Who asked, as the log shows it. */
export interface LoggedClient {
  /** `address:port`. */
  readonly address: string;
  /** Its identity; empty: it has proved none. */
  readonly identity: string;
}

/** Everything about one request that is over. */
export interface LoggedRequest {
  readonly text: RequestText;
  /** The exchange is HTTP/2 of an app. */
  readonly http2: boolean;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** ms until it was sent to the app, and until the end of the response. */
  readonly processingMs: number;
  readonly totalMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly status: number;
}

/** Bytes of a line beside what the request brings and what the client is called. */
const FRAME_BYTES = 512;

const NS_PER_MS = 1_000_000;

/** Writes lines of one client in one format; what is the same in all of them is made once. */
export abstract class LogLine {
  readonly #most: number;
  protected readonly prefix: Buffer;

  constructor(prefix: string) {
    this.prefix = Buffer.from(prefix, 'latin1');
    this.#most = this.prefix.length + FRAME_BYTES;
  }

  /** Bytes of the longest line for this request. */
  most({ traceIdEnd, agentEnd }: RequestText): number {
    return this.#most + Math.min(MOST_TEXT, Math.max(traceIdEnd, agentEnd)) * MAX_ESCAPED;
  }

  abstract write(out: ByteWriter, request: LoggedRequest, times: Timestamps): void;
}

/** Names and forms of the fields are Linkerd's: `status` alone is a number. */
class JsonLine extends LogLine {
  constructor({ address, identity }: LoggedClient) {
    const named = { 'client.addr': address, 'client.id': identity === '' ? '-' : identity };
    super(`${ascii(JSON.stringify(named)).slice(0, -1)},"host":"`);
  }

  override write(out: ByteWriter, request: LoggedRequest, times: Timestamps): void {
    const { text } = request;
    const { bytes, methodEnd, authorityEnd, pathEnd, agentEnd, traceIdEnd } = text;
    out.text(this.prefix);
    out.escaped('json', bytes, methodEnd, authorityEnd);
    out.text(json.method);
    out.escaped('json', bytes, 0, methodEnd);
    out.text(json.processing);
    out.decimal(nanoseconds(request.processingMs));
    out.text(json.requestBytes);
    out.decimal(request.requestBytes);
    out.text(json.responseBytes);
    out.decimal(request.responseBytes);
    out.text(json.status);
    out.decimal(request.status);
    out.text(json.timestamp);
    times.write(out, request.startedAt);
    out.text(json.total);
    out.decimal(nanoseconds(request.totalMs));
    out.text(json.traceId);
    out.escaped('json', bytes, agentEnd, traceIdEnd);
    out.text(json.uri);
    writeUri('json', out, request);
    out.text(json.userAgent);
    out.escaped('json', bytes, pathEnd, agentEnd);
    out.text(request.http2 ? json.endHttp2 : json.endHttp1);
  }
}

/** JSON that whoever reads the line in whatever encoding reads alike, as the request's own bytes are escaped. */
function ascii(text: string): string {
  return text.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const json = {
  method: Buffer.from('","method":"'),
  processing: Buffer.from('","processing_ns":"'),
  requestBytes: Buffer.from('","request_bytes":"'),
  responseBytes: Buffer.from('","response_bytes":"'),
  status: Buffer.from('","status":'),
  timestamp: Buffer.from(',"timestamp":"'),
  total: Buffer.from('","total_ns":"'),
  traceId: Buffer.from('","trace_id":"'),
  uri: Buffer.from('","uri":"'),
  userAgent: Buffer.from('","user_agent":"'),
  endHttp1: Buffer.from('","version":"HTTP/1.1"}\n'),
  endHttp2: Buffer.from('","version":"HTTP/2.0"}\n'),
} as const;

class ApacheLine extends LogLine {
  constructor({ address, identity }: LoggedClient) {
    // A certificate may hold any byte in a name.
    const name = identity.replaceAll(/[^!#-~]/g, '?');
    super(`${address} ${name === '' ? '-' : name} - [`);
  }

  override write(out: ByteWriter, request: LoggedRequest, times: Timestamps): void {
    const { bytes, methodEnd } = request.text;
    out.text(this.prefix);
    times.write(out, request.startedAt);
    out.text(apache.request);
    out.escaped('apache', bytes, 0, methodEnd);
    out.text(apache.space);
    writeUri('apache', out, request);
    out.text(request.http2 ? apache.http2 : apache.http1);
    out.decimal(request.status);
    out.text(apache.space);
    out.decimal(request.responseBytes);
    out.text(apache.end);
  }
}

const apache = {
  request: Buffer.from('] "'),
  space: Buffer.from(' '),
  http1: Buffer.from(' HTTP/1.1" '),
  http2: Buffer.from(' HTTP/2.0" '),
  end: Buffer.from('\n'),
} as const;

/** As Linkerd shows it: HTTP/2 has the authority in it, HTTP/1.1 the path alone. */
function writeUri(how: LogFormat, out: ByteWriter, { text, http2 }: LoggedRequest): void {
  const { bytes, methodEnd, authorityEnd, pathEnd } = text;
  if (http2 && authorityEnd > methodEnd) {
    out.text(SCHEME);
    out.escaped(how, bytes, methodEnd, authorityEnd);
  }
  out.escaped(how, bytes, authorityEnd, pathEnd);
}

const SCHEME = Buffer.from('http://');

function nanoseconds(ms: number): number {
  return ms <= 0 ? 0 : Math.round(ms * NS_PER_MS);
}

export function logLine(format: LogFormat, client: LoggedClient): LogLine {
  return format === 'json' ? new JsonLine(client) : new ApacheLine(client);
}
