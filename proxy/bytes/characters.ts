/** Character classes of RFC 9110 section 5.6.2 and RFC 9112, as tables: one look-up per byte. */

const TOKEN = 1;
const VALUE = 2;
const TARGET = 4;
const AUTHORITY = 8;
const HEX = 16;
const LOWER_TOKEN = 32;

const classes = new Uint8Array(256);

function mark(text: string, bit: number): void {
  for (const byte of Buffer.from(text)) classes[byte] = (classes[byte] ?? 0) | bit;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const DIGITS = '0123456789';
mark('abcdefghijklmnopqrstuvwxyz' + DIGITS + "!#$%&'*+-.^_`|~", LOWER_TOKEN);
mark(LETTERS + DIGITS + "!#$%&'*+-.^_`|~", TOKEN);
// A host with port, IPv6 in brackets; no userinfo, no path: what a later hop could read as another host.
mark(LETTERS + DIGITS + "-._~%!$&'()*+,;=:[]", AUTHORITY);
mark(DIGITS + 'abcdefABCDEF', HEX);
for (let c = 0; c < 256; c++) {
  // Field values: visible characters, space, tab and obs-text.
  if (c === 9 || (c >= 32 && c !== 127)) classes[c] = (classes[c] ?? 0) | VALUE;
  // Targets: no space, no control, no fragment. Bytes above ASCII are sent by real clients and mean one thing only.
  if (c > 32 && c !== 127 && c !== 35) classes[c] = (classes[c] ?? 0) | TARGET;
}

function allOf(bit: number, buffer: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (((classes[buffer[i] ?? 0] ?? 0) & bit) === 0) return false;
  return true;
}

function endOf(bit: number, buffer: Buffer, start: number, end: number): number {
  let i = start;
  while (i < end && (classes[buffer[i] ?? 0] ?? 0) & bit) i++;
  return i;
}

/** Where the token at `start` ends; `start` when there is none. */
export function tokenEnd(buffer: Buffer, start: number, end: number): number {
  return endOf(TOKEN, buffer, start, end);
}

/** Where the field value at `start` ends: at the first byte that has no place in one, white space at its end included. */
export function fieldValueEnd(buffer: Buffer, start: number, end: number): number {
  return endOf(VALUE, buffer, start, end);
}

/** A token of at least one character. */
export function isToken(buffer: Buffer, start: number, end: number): boolean {
  return end > start && allOf(TOKEN, buffer, start, end);
}

/** A token without upper-case letters: a field name of HTTP/2. */
export function isLowerToken(buffer: Buffer, start: number, end: number): boolean {
  return end > start && allOf(LOWER_TOKEN, buffer, start, end);
}

/** A field value: no NUL, CR, LF or other control but tab. */
export function isFieldValue(buffer: Buffer, start: number, end: number): boolean {
  return allOf(VALUE, buffer, start, end);
}

/** Path and query of a request target. */
export function isTarget(buffer: Buffer, start: number, end: number): boolean {
  return end > start && allOf(TARGET, buffer, start, end);
}

/** Host, with or without port. May be empty. */
export function isAuthority(buffer: Buffer, start: number, end: number): boolean {
  return allOf(AUTHORITY, buffer, start, end);
}

/** Value of a hexadecimal digit; -1 when it is none. */
export function hexValue(c: number): number {
  if (((classes[c] ?? 0) & HEX) === 0) return -1;
  return c <= 57 ? c - 48 : (c | 32) - 87;
}

/** Digits only, at most 15 (below 2^53); -1 otherwise. */
export function parseDecimal(buffer: Buffer, start: number, end: number): number {
  if (end <= start || end - start > 15) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = (buffer[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
