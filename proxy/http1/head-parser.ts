import { fieldValueEnd, isAuthority, parseDecimal, tokenEnd } from '../bytes/characters.ts';
import { pointAt } from '../bytes/span.ts';
import { indexOfByte } from '../bytes/words.ts';
import { causes, type Cause } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import { equalsIgnoreCase, fieldIdOf, isHopByHop } from '../message/field-names.ts';
import { MAX_FIELDS, SWITCHING_PROTOCOLS, type Head } from '../message/head.ts';
import { lastingField } from '../message/lasting-field.ts';
import type { Framing } from './framing.ts';
import {
  CHUNKED,
  hasElement,
  KEEP_ALIVE,
  keepUpgrade,
  removeListed,
  takeConnection,
  unknownCoding,
} from './hop-fields.ts';
import { knownLine, rememberLine, type KnownLine } from './known-lines.ts';
import { parseRequestLine, parseStatusLine } from './start-line.ts';

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const COLON = 58;
const TRAILERS = Buffer.from('trailers');
const TE_TRAILERS = lastingField('te', 'trailers');

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
  pointAt(head.block, b, start, end);
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
    if (b[i] !== CR || b[i + 1] !== LF) return causes.badRequest;
    let valueEnd = i;
    while (valueEnd > valueStart && (b[valueEnd - 1] === SPACE || b[valueEnd - 1] === TAB)) valueEnd--;
    i += 2;
    const bad = takeField(b, nameStart, nameEnd, valueStart, valueEnd, head, framing);
    if (bad !== undefined) return bad;
  }
  if (framing.listed > 0) removeListed(b, head, framing);
  return undefined;
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
  if (head.authority.end === 0) pointAt(head.authority, b, start, end);
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
