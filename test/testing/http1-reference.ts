/**
 * A second reader of HTTP/1.1, as plain as can be and only as lenient as RFC 9112 demands of everybody: what a proxy sends must be read by it in one way.
 * It knows whole texts (Latin-1), not streams, and shares no code with the codecs.
 */

export interface ReferenceMessage {
  /** The first line, without its end. */
  readonly startLine: string;
  /** Names in lower case, in their order. */
  readonly fields: readonly (readonly [string, string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [string, string])[];
  /** What stands behind the message. */
  readonly rest: string;
}

/** The message that a text begins with; `incomplete`: it is the beginning of one; otherwise why it is none. */
export type ReferenceResult = ReferenceMessage | 'incomplete' | { readonly malformed: string };

/** How the body ends where the fields do not say: a request's is empty, a response's ends with the connection. */
export type Unframed = 'empty' | 'close';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^#\0-\x20\x7f]+ HTTP\/1\.1$/; // oxlint-disable-line no-control-regex -- that is what no target may hold
const STATUS_LINE = /^HTTP\/1\.1 [1-9][0-9][0-9] [^\0-\x08\x0a-\x1f\x7f]*$/; // oxlint-disable-line no-control-regex -- nor a reason
const VALUE = /^[^\0-\x08\x0a-\x1f\x7f]*$/; // oxlint-disable-line no-control-regex -- nor a value
/** Their presence in trailers is what smuggling is made of. */
const FRAMING = new Set(['content-length', 'transfer-encoding', 'host', 'connection', 'upgrade', 'te']);

/** Reads a request; every one of HTTP/1.1 has exactly one Host. */
export function readRequest(text: string): ReferenceResult {
  const message = read(text, REQUEST_LINE, 'empty', false);
  if (!isMessage(message)) return message;
  const hosts = message.fields.filter(([name]) => name === 'host').length;
  return hosts === 1 ? message : { malformed: `${hosts} Host fields` };
}

/** Reads a response. `bodiless`: to a HEAD, whatever its fields say. */
export function readResponse(text: string, bodiless = false): ReferenceResult {
  const none = bodiless || /^HTTP\/1\.1 (1|204|304)/.test(text);
  return read(text, STATUS_LINE, 'close', none);
}

export function isMessage(result: ReferenceResult): result is ReferenceMessage {
  return typeof result === 'object' && 'startLine' in result;
}

function read(text: string, firstLine: RegExp, unframed: Unframed, bodiless: boolean): ReferenceResult {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 'incomplete';
  const [startLine = '', ...lines] = text.slice(0, end).split('\r\n');
  if (!firstLine.test(startLine)) return { malformed: `the first line ${JSON.stringify(startLine)}` };
  const fields = readFields(lines);
  if (typeof fields === 'string') return { malformed: fields };
  const behind = text.slice(end + 4);
  const lengths = valuesOf(fields, 'content-length');
  const codings = valuesOf(fields, 'transfer-encoding');
  if (lengths.length + codings.length > 1) return { malformed: 'framed more than once' };
  if (bodiless) return { startLine, fields, body: '', trailers: [], rest: behind };
  if (codings.length === 1)
    return codings[0] === 'chunked'
      ? readChunks({ startLine, fields }, behind)
      : { malformed: `the coding ${codings[0]}` };
  if (lengths.length === 0) {
    const [body, rest] = unframed === 'empty' ? ['', behind] : [behind, ''];
    return { startLine, fields, body, trailers: [], rest };
  }
  if (!/^[0-9]+$/.test(lengths[0] ?? '')) return { malformed: `the length ${lengths[0]}` };
  const length = Number(lengths[0]);
  if (behind.length < length) return 'incomplete';
  return { startLine, fields, body: behind.slice(0, length), trailers: [], rest: behind.slice(length) };
}

function readFields(lines: readonly string[]): [string, string][] | string {
  const fields: [string, string][] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    const value = line.slice(colon + 1).replaceAll(/^[ \t]+|[ \t]+$/g, '');
    if (colon < 1 || !TOKEN.test(name) || !VALUE.test(value)) return `the line ${JSON.stringify(line)}`;
    fields.push([name.toLowerCase(), value]);
  }
  return fields;
}

function valuesOf(fields: readonly (readonly [string, string])[], wanted: string): string[] {
  return fields.filter(([name]) => name === wanted).map(([, value]) => value);
}

function readChunks(head: Pick<ReferenceMessage, 'startLine' | 'fields'>, behind: string): ReferenceResult {
  let body = '';
  for (let at = 0; ;) {
    const lineEnd = behind.indexOf('\r\n', at);
    if (lineEnd < 0) return 'incomplete';
    const line = behind.slice(at, lineEnd);
    // A proxy writes no extensions: they are not passed on.
    if (!/^[0-9a-f]{1,13}$/.test(line)) return { malformed: `the chunk size ${JSON.stringify(line)}` };
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) return readTrailers(head, body, behind.slice(at));
    if (behind.length < at + size + 2) return 'incomplete';
    if (behind.slice(at + size, at + size + 2) !== '\r\n') return { malformed: 'a chunk that goes on' };
    body += behind.slice(at, at + size);
    at += size + 2;
  }
}

function readTrailers(
  head: Pick<ReferenceMessage, 'startLine' | 'fields'>,
  body: string,
  behind: string,
): ReferenceResult {
  if (behind.startsWith('\r\n')) return { ...head, body, trailers: [], rest: behind.slice(2) };
  const end = behind.indexOf('\r\n\r\n');
  if (end < 0) return 'incomplete';
  const trailers = readFields(behind.slice(0, end).split('\r\n'));
  if (typeof trailers === 'string') return { malformed: trailers };
  const framing = trailers.find(([name]) => FRAMING.has(name));
  if (framing !== undefined) return { malformed: `${framing[0]} in the trailers` };
  return { ...head, body, trailers, rest: behind.slice(end + 4) };
}
