import { equalBytes } from '../bytes/bytes.ts';
import { isAuthority, isFieldValue, isTarget, isToken, parseDecimal } from '../bytes/characters.ts';
import { pointAt, type Span } from '../bytes/span.ts';
import { equalsIgnoreCase } from '../message/field-names.ts';
import type { Head } from '../message/head.ts';
import type { Framing } from './framing.ts';

const SPACE = 32;
const SLASH = 47;
const STAR = 42;
const QUESTION_MARK = 63;
/** How status lines begin, and request lines end, but for the minor version. */
export const HTTP1 = Buffer.from('HTTP/1.');
const CONNECT = Buffer.from('CONNECT');
const OPTIONS = Buffer.from('OPTIONS');
const HEAD = Buffer.from('HEAD');
const HTTP_SCHEME = Buffer.from('http://');
const HTTP = Buffer.from('http');
const EMPTY_PATH = Buffer.from('/');
const WHOLE_SERVER = Buffer.from('*');

/** Reads `b[start, end)`, a request's first line without its end, into method, target and version. */
export function parseRequestLine(
  b: Buffer,
  start: number,
  end: number,
  head: Head,
  framing: Framing,
): boolean {
  let i = start;
  while (i < end && b[i] !== SPACE) i++;
  if (!isToken(b, start, i)) return false;
  pointAt(head.method, b, start, i);
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
  pointAt(head.scheme, HTTP, 0, HTTP.length);
  if (framing.isConnect) {
    pointAt(head.authority, b, start, end);
    return isAuthority(b, start, end);
  }
  if (!isTarget(b, start, end)) return false;
  pointAt(head.path, b, start, end);
  if (b[start] === SLASH) return true;
  if (end - start === 1 && b[start] === STAR) return isOptions(head.method);
  return parseAbsoluteForm(b, start, end, head);
}

function isOptions({ buffer, start, end }: Span): boolean {
  return equalBytes(buffer, start, end, OPTIONS);
}

function parseAbsoluteForm(b: Buffer, start: number, end: number, head: Head): boolean {
  const authority = start + HTTP_SCHEME.length;
  if (end <= authority || !equalsIgnoreCase(b, start, authority, HTTP_SCHEME)) return false;
  let i = authority;
  while (i < end && b[i] !== SLASH && b[i] !== QUESTION_MARK) i++;
  if (i === authority || !isAuthority(b, authority, i)) return false;
  pointAt(head.authority, b, authority, i);
  // OPTIONS without a path asks about the server as a whole, and is told so by the last proxy (RFC 9112 section 3.2.4).
  if (i === end) pointAt(head.path, isOptions(head.method) ? WHOLE_SERVER : EMPTY_PATH, 0, 1);
  // A query without a path would need a slash in between: no client sends it.
  else if (b[i] !== SLASH) return false;
  else pointAt(head.path, b, i, end);
  return true;
}

/** Reads `b[start, end)`, a response's first line without its end. */
export function parseStatusLine(
  b: Buffer,
  start: number,
  end: number,
  head: Head,
  framing: Framing,
): boolean {
  // "HTTP/1.1 200": the reason phrase may be missing, its space too.
  if (end - start < 12 || !parseVersion(b, start, framing) || b[start + 8] !== SPACE) return false;
  if (end - start > 12 && b[start + 12] !== SPACE) return false;
  head.status = parseDecimal(b, start + 9, start + 12);
  // What HTTP does not define means a 5xx (RFC 9110 section 15), and goes on as it is: apps use it among themselves.
  return head.status >= 100 && isFieldValue(b, start + 12, end);
}
