import { equalBytes } from '../bytes/bytes.ts';
import { causes } from '../errors.ts';
import type { Cause } from '../errors.ts';
import { equalsIgnoreCase, fieldIdOf, isHopByHop, mayUpgradeTo } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import { MAX_FIELDS, SWITCHING_PROTOCOLS } from '../message/head.ts';
import type { Head } from '../message/head.ts';
import { lastingField } from '../message/lasting-field.ts';
import type { Span } from '../bytes/span.ts';
import { indexOfByte } from '../bytes/words.ts';
import { knownLine, rememberLine, type KnownLine } from './known-lines.ts';
import {
  fieldValueEnd,
  isAuthority,
  isFieldValue,
  isTarget,
  isToken,
  parseDecimal,
  tokenEnd,
} from '../bytes/characters.ts';

const CR = 13;
const SPACE = 32;
const TAB = 9;
const COLON = 58;
const SLASH = 47;
/** How status lines begin, and request lines end, but for the minor version. */
export const HTTP1 = Buffer.from('HTTP/1.');
const CONNECT = Buffer.from('CONNECT');
const OPTIONS = Buffer.from('OPTIONS');
const HEAD = Buffer.from('HEAD');
const HTTP_SCHEME = Buffer.from('http://');
const HTTP = Buffer.from('http');
const EMPTY_PATH = Buffer.from('/');
const WHOLE_SERVER = Buffer.from('*');
const CHUNKED = Buffer.from('chunked');
const CLOSE = Buffer.from('close');
const KEEP_ALIVE = Buffer.from('keep-alive');
const UPGRADE = Buffer.from('upgrade');
const TRAILERS = Buffer.from('trailers');
const TE_TRAILERS = lastingField('te', 'trailers');

/** How the message is framed and what it says about the connection: what is left of the fields that a codec does not pass on. */
export class Framing {
  chunked = false;
  /** HTTP/1.0: no chunked coding, no keep-alive unless asked for. */
  minorVersion = 1;
  isConnect = false;
  isHead = false;
  expect = false;
  hosts = 0;
  saidClose = false;
  saidKeepAlive = false;
  saidUpgrade = false;
  /** The client takes trailers, and says so. */
  saidTrailers = false;
  /** The Upgrade field: kept aside, since it only means something where Connection names it. */
  upgrades = 0;
  upgradeStart = 0;
  upgradeEnd = 0;
  /** Connection names of fields that end here, besides the fixed ones: where each begins and ends. */
  listed = 0;
  readonly listedStart = new Int32Array(MAX_FIELDS);
  readonly listedEnd = new Int32Array(MAX_FIELDS);
  /** Slot of the first known line in the head before; -1: it had none. What stays, for the next head is likely to begin as that one did. */
  firstKnown = -1;

  clear(): void {
    this.chunked = false;
    this.minorVersion = 1;
    this.isConnect = false;
    this.isHead = false;
    this.expect = false;
    this.hosts = 0;
    this.saidClose = false;
    this.saidKeepAlive = false;
    this.saidUpgrade = false;
    this.saidTrailers = false;
    this.upgrades = 0;
    this.listed = 0;
  }
}

/**
 * Reads a request's head, `b[start, end)` with its empty line, into `head`. What two implementations could read in two ways is refused.
 * Returns why, or undefined when it is good.
 */
export function parseRequest(
  b: Buffer,
  start: number,
  end: number,
  head: Head,
  framing: Framing,
): Cause | undefined {
  head.clear();
  setSpan(head.block, b, start, end);
  framing.clear();
  const line = indexOfByte(b, CR, start, end);
  if (!parseRequestLine(b, start, line, head, framing)) return causes.badRequest;
  const bad = parseFields(b, line + 2, end - 2, head, framing);
  if (bad !== undefined) return bad;
  if (framing.hosts === 0 && framing.minorVersion === 1) return causes.badRequest;
  head.close = framing.saidClose || (framing.minorVersion === 0 && !framing.saidKeepAlive);
  const hasBody = framing.chunked || head.contentLength > 0;
  if (framing.saidUpgrade && !hasBody && framing.minorVersion === 1) keepUpgrade(b, head, framing);
  // What else TE says is of the hop. Trailers go all the way, and servers that go by it send none where it is missing (RFC 9110 section 10.1.4).
  if (framing.saidTrailers && framing.minorVersion === 1 && !head.addLasting(FieldId.te, TE_TRAILERS))
    return causes.headTooLarge;
  return undefined;
}

/** Reads a response's head. Its cause on failure is for the exchange: the upstream broke the protocol. */
export function parseResponse(
  b: Buffer,
  start: number,
  end: number,
  head: Head,
  framing: Framing,
): Cause | undefined {
  head.clear();
  framing.clear();
  const line = indexOfByte(b, CR, start, end);
  if (!parseStatusLine(b, start, line, head, framing)) return causes.protocolError;
  if (parseFields(b, line + 2, end - 2, head, framing) !== undefined) return causes.protocolError;
  if (head.status === SWITCHING_PROTOCOLS && !(framing.saidUpgrade && keepUpgrade(b, head, framing)))
    return causes.protocolError;
  head.close = framing.saidClose || (framing.minorVersion === 0 && !framing.saidKeepAlive);
  return undefined;
}

/** Reads a trailer section into `trailers`: fields that frame or route a message have no business there (RFC 9110 section 6.5.1). */
export function parseTrailers(
  b: Buffer,
  start: number,
  end: number,
  trailers: Head,
  framing: Framing,
): Cause | undefined {
  trailers.clear();
  framing.clear();
  const bad = parseFields(b, start, end - 2, trailers, framing);
  if (bad !== undefined) return bad;
  if (framing.chunked || framing.hosts > 0 || trailers.contentLength >= 0 || framing.expect)
    return causes.badRequest;
  return undefined;
}

function parseRequestLine(b: Buffer, start: number, end: number, head: Head, framing: Framing): boolean {
  let i = start;
  while (i < end && b[i] !== SPACE) i++;
  if (!isToken(b, start, i)) return false;
  setSpan(head.method, b, start, i);
  framing.isConnect = equalBytes(b, start, i, CONNECT);
  framing.isHead = equalBytes(b, start, i, HEAD);
  const target = i + 1;
  // "HTTP/1.x" and the space before it take 9 bytes at the end of the line.
  const targetEnd = end - 9;
  if (targetEnd <= target || b[targetEnd] !== SPACE) return false;
  return parseVersion(b, targetEnd + 1, framing) && parseTarget(b, target, targetEnd, head, framing);
}

function parseVersion(b: Buffer, at: number, framing: Framing): boolean {
  if (!equalBytes(b, at, at + HTTP1.length, HTTP1)) return false;
  const minor = (b[at + HTTP1.length] ?? 0) - 48;
  framing.minorVersion = minor;
  return minor === 0 || minor === 1;
}

function parseTarget(b: Buffer, start: number, end: number, head: Head, framing: Framing): boolean {
  setSpan(head.scheme, HTTP, 0, HTTP.length);
  if (framing.isConnect) {
    setSpan(head.authority, b, start, end);
    return isAuthority(b, start, end);
  }
  if (!isTarget(b, start, end)) return false;
  setSpan(head.path, b, start, end);
  if (b[start] === SLASH) return true;
  if (end - start === 1 && b[start] === 42) return isOptions(head.method);
  return parseAbsoluteForm(b, start, end, head);
}

function isOptions({ buffer, start, end }: Span): boolean {
  return equalBytes(buffer, start, end, OPTIONS);
}

function parseAbsoluteForm(b: Buffer, start: number, end: number, head: Head): boolean {
  const authority = start + HTTP_SCHEME.length;
  if (end <= authority || !equalsIgnoreCase(b, start, authority, HTTP_SCHEME)) return false;
  let i = authority;
  while (i < end && b[i] !== SLASH && b[i] !== 63) i++;
  if (i === authority || !isAuthority(b, authority, i)) return false;
  setSpan(head.authority, b, authority, i);
  // OPTIONS without a path asks about the server as a whole, and is told so by the last proxy (RFC 9112 section 3.2.4).
  if (i === end) setSpan(head.path, isOptions(head.method) ? WHOLE_SERVER : EMPTY_PATH, 0, 1);
  // A query without a path would need a slash in between: no client sends it.
  else if (b[i] !== SLASH) return false;
  else setSpan(head.path, b, i, end);
  return true;
}

function parseStatusLine(b: Buffer, start: number, end: number, head: Head, framing: Framing): boolean {
  // "HTTP/1.1 200": the reason phrase may be missing, its space too.
  if (end - start < 12 || !parseVersion(b, start, framing) || b[start + 8] !== SPACE) return false;
  if (end - start > 12 && b[start + 12] !== SPACE) return false;
  head.status = parseDecimal(b, start + 9, start + 12);
  // What HTTP does not define means a 5xx (RFC 9110 section 15), and goes on as it is: apps use it among themselves.
  return head.status >= 100 && isFieldValue(b, start + 12, end);
}

function parseFields(b: Buffer, start: number, end: number, head: Head, framing: Framing): Cause | undefined {
  /** The known line before this one. */
  let before: KnownLine | undefined;
  for (let i = start; i < end;) {
    const known = knownLine(b, i, end, before === undefined ? framing.firstKnown : before.next);
    if (known !== undefined) {
      const bad = takeKnown(known, head, framing);
      if (bad !== undefined) return bad;
      if (before === undefined) framing.firstKnown = known.slot;
      else before.next = known.slot;
      before = known;
      i += known.length;
      continue;
    }
    const nameStart = i;
    const nameEnd = tokenEnd(b, i, end);
    // Refuses also an obsolete line folding and a space before the colon, since neither is a token.
    if (nameEnd === nameStart || b[nameEnd] !== COLON) return causes.badRequest;
    i = nameEnd + 1;
    while (b[i] === SPACE || b[i] === TAB) i++;
    const valueStart = i;
    i = fieldValueEnd(b, i, end);
    // Something that no value may hold, or a CR that does not end the line.
    if (b[i] !== 13 || b[i + 1] !== 10) return causes.badRequest;
    let valueEnd = i;
    while (valueEnd > valueStart && (b[valueEnd - 1] === SPACE || b[valueEnd - 1] === TAB)) valueEnd--;
    i += 2;
    const bad = takeField(b, nameStart, nameEnd, valueStart, valueEnd, head, framing);
    if (bad !== undefined) return bad;
  }
  return framing.listed === 0 ? undefined : removeListed(b, head, framing);
}

/** A line that came before: sound in itself, so what is left to look at is how it goes with the others of this head. */
function takeKnown({ id, field }: KnownLine, head: Head, framing: Framing): Cause | undefined {
  switch (id) {
    case FieldId.host:
      return takeHost(field.buffer, field.nameEnd, field.valueEnd, head, framing);
    case FieldId.connection:
      framing.saidKeepAlive = true;
      return undefined;
    default:
      return head.addLasting(id, field) ? undefined : causes.headTooLarge;
  }
}

/** @param b `b[start, end)` is an authority */
function takeHost(b: Buffer, start: number, end: number, head: Head, framing: Framing): Cause | undefined {
  if (++framing.hosts > 1) return causes.badRequest;
  // The absolute form and CONNECT name the authority themselves (RFC 9112 section 3.2.2).
  if (head.authority.end === 0) setSpan(head.authority, b, start, end);
  return undefined;
}

function takeField(
  b: Buffer,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
  head: Head,
  framing: Framing,
): Cause | undefined {
  const id = fieldIdOf(b, nameStart, nameEnd);
  switch (id) {
    case FieldId.host:
      if (!isAuthority(b, valueStart, valueEnd)) return causes.badRequest;
      rememberLine(id, b, nameStart, nameEnd, valueStart, valueEnd);
      return takeHost(b, valueStart, valueEnd, head, framing);
    case FieldId.contentLength:
      if (head.contentLength >= 0 || framing.chunked) return causes.badRequest;
      head.contentLength = parseDecimal(b, valueStart, valueEnd);
      if (head.contentLength < 0) return causes.badRequest;
      break;
    case FieldId.transferEncoding:
      if (framing.chunked || head.contentLength >= 0 || framing.minorVersion === 0) return causes.badRequest;
      framing.chunked = equalsIgnoreCase(b, valueStart, valueEnd, CHUNKED);
      return framing.chunked ? undefined : unknownCoding(b, valueStart, valueEnd);
    case FieldId.connection:
      if (!equalsIgnoreCase(b, valueStart, valueEnd, KEEP_ALIVE))
        return takeConnection(b, valueStart, valueEnd, framing);
      // What nearly all say who say something.
      framing.saidKeepAlive = true;
      rememberLine(id, b, nameStart, nameEnd, valueStart, valueEnd);
      return undefined;
    case FieldId.upgrade:
      framing.upgrades++;
      framing.upgradeStart = valueStart;
      framing.upgradeEnd = valueEnd;
      return undefined;
    case FieldId.expect:
      framing.expect = true;
      break;
    case FieldId.te:
      framing.saidTrailers ||= hasElement(b, valueStart, valueEnd, TRAILERS);
      return undefined;
    default:
      if (isHopByHop(id)) return undefined;
      rememberLine(id, b, nameStart, nameEnd, valueStart, valueEnd);
  }
  const added = head.add(id, b, nameStart, nameEnd, b, valueStart, valueEnd);
  return added && head.count <= MAX_FIELDS ? undefined : causes.headTooLarge;
}

/**
 * A list of codings other than the one that we know. Before a final chunked they are sound and not implemented; without it nobody can tell where the body ends
 * (RFC 9112 section 6.3).
 */
function unknownCoding(b: Buffer, start: number, end: number): Cause {
  const comma = b.lastIndexOf(44, end - 1);
  if (comma <= start) return causes.badRequest;
  let last = comma + 1;
  while (b[last] === SPACE || b[last] === TAB) last++;
  if (!equalsIgnoreCase(b, last, end, CHUNKED)) return causes.badRequest;
  for (let from = start; from < comma;) {
    let to = from;
    while (to < comma && b[to] !== 44) to++;
    const [first, behind] = trimmed(b, from, to);
    // Chunked twice, an empty element, parameters: not a list that a known sender writes.
    if (!isToken(b, first, behind) || equalsIgnoreCase(b, first, behind, CHUNKED)) return causes.badRequest;
    from = to + 1;
  }
  return causes.notImplemented;
}

/** Whether a list separated by commas has this element, which is in lower case. */
function hasElement(b: Buffer, start: number, end: number, element: Buffer): boolean {
  for (let from = start; from < end;) {
    let to = from;
    while (to < end && b[to] !== 44) to++;
    const [first, behind] = trimmed(b, from, to);
    if (equalsIgnoreCase(b, first, behind, element)) return true;
    from = to + 1;
  }
  return false;
}

function trimmed(b: Buffer, start: number, end: number): [number, number] {
  let first = start;
  let behind = end;
  while (first < behind && (b[first] === SPACE || b[first] === TAB)) first++;
  while (behind > first && (b[behind - 1] === SPACE || b[behind - 1] === TAB)) behind--;
  return [first, behind];
}

/** Fields that a Connection field may not take away: without them the next hop would see another message. */
function isProtected(id: FieldId): boolean {
  return id === FieldId.host || id === FieldId.contentLength;
}

function takeConnection(b: Buffer, start: number, end: number, framing: Framing): Cause | undefined {
  for (let i = start; i < end;) {
    while (i < end && (b[i] === 44 || b[i] === SPACE || b[i] === TAB)) i++;
    const from = i;
    while (i < end && b[i] !== 44 && b[i] !== SPACE && b[i] !== TAB) i++;
    if (i === from) continue;
    if (!isToken(b, from, i)) return causes.badRequest;
    if (equalsIgnoreCase(b, from, i, CLOSE)) framing.saidClose = true;
    else if (equalsIgnoreCase(b, from, i, KEEP_ALIVE)) framing.saidKeepAlive = true;
    else if (equalsIgnoreCase(b, from, i, UPGRADE)) framing.saidUpgrade = true;
    else if (isProtected(fieldIdOf(b, from, i))) return causes.badRequest;
    else if (framing.listed >= MAX_FIELDS) return causes.headTooLarge;
    else {
      framing.listedStart[framing.listed] = from;
      framing.listedEnd[framing.listed++] = i;
    }
  }
  return undefined;
}

/** Makes the Upgrade a field of the head where it may go on. */
function keepUpgrade(b: Buffer, head: Head, framing: Framing): boolean {
  const { upgrades, upgradeStart: start, upgradeEnd: end } = framing;
  if (upgrades !== 1 || !mayUpgradeTo(b, start, end)) return false;
  return head.add(FieldId.upgrade, UPGRADE, 0, UPGRADE.length, b, start, end);
}

function removeListed(b: Buffer, head: Head, framing: Framing): undefined {
  for (let k = 0; k < framing.listed; k++) {
    const listed = Buffer.from(
      b.toString('latin1', framing.listedStart[k], framing.listedEnd[k]).toLowerCase(),
      'latin1',
    );
    head.removeNamed((buffer, start, end) => equalsIgnoreCase(buffer, start, end, listed));
  }
  return undefined;
}

function setSpan(
  span: { buffer: Buffer; start: number; end: number },
  buffer: Buffer,
  start: number,
  end: number,
): void {
  span.buffer = buffer;
  span.start = start;
  span.end = end;
}
