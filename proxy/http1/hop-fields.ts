import { isToken } from '../bytes/characters.ts';
import { causes, type Cause } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import { equalsIgnoreCase, fieldIdOf, mayUpgradeTo } from '../message/field-names.ts';
import { MAX_FIELDS, type Head } from '../message/head.ts';
import type { Framing } from './framing.ts';

const SPACE = 32;
const TAB = 9;
const COMMA = 44;
/** The one coding of a body that we know. */
export const CHUNKED = Buffer.from('chunked');
const CLOSE = Buffer.from('close');
/** What connections of HTTP/1.1 are without a word. */
export const KEEP_ALIVE = Buffer.from('keep-alive');
const UPGRADE = Buffer.from('upgrade');

/**
 * Why a message with such a Transfer-Encoding is refused: `b[start, end)` is a list of codings other than the one that
 * we know. Before a final chunked they are sound and not implemented; without it nobody can tell where the body ends
 * (RFC 9112 section 6.3).
 */
export function unknownCoding(b: Buffer, start: number, end: number): Cause {
  const comma = b.lastIndexOf(COMMA, end - 1);
  if (comma <= start) return causes.badRequest;
  let last = comma + 1;
  while (b[last] === SPACE || b[last] === TAB) last++;
  if (!equalsIgnoreCase(b, last, end, CHUNKED)) return causes.badRequest;
  for (let from = start; from < comma;) {
    let to = from;
    while (to < comma && b[to] !== COMMA) to++;
    const [first, behind] = trimmed(b, from, to);
    // Chunked twice, an empty element, parameters: not a list that a known sender writes.
    if (!isToken(b, first, behind) || equalsIgnoreCase(b, first, behind, CHUNKED)) return causes.badRequest;
    from = to + 1;
  }
  return causes.notImplemented;
}

/** Whether a list separated by commas has this element, which is in lower case. */
export function hasElement(b: Buffer, start: number, end: number, element: Buffer): boolean {
  for (let from = start; from < end;) {
    let to = from;
    while (to < end && b[to] !== COMMA) to++;
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

/** Notes in `framing` what a Connection field, `b[start, end)`, says: of this connection, and which fields end with it. */
export function takeConnection(b: Buffer, start: number, end: number, framing: Framing): Cause | undefined {
  for (let i = start; i < end;) {
    while (i < end && (b[i] === COMMA || b[i] === SPACE || b[i] === TAB)) i++;
    const from = i;
    while (i < end && b[i] !== COMMA && b[i] !== SPACE && b[i] !== TAB) i++;
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

/** Makes the Upgrade a field of the head where it may go on. @returns whether it does */
export function keepUpgrade(b: Buffer, head: Head, framing: Framing): boolean {
  const { upgrades, upgradeStart: start, upgradeEnd: end } = framing;
  if (upgrades !== 1 || !mayUpgradeTo(b, start, end)) return false;
  return head.add(FieldId.upgrade, UPGRADE, 0, UPGRADE.length, b, start, end);
}

/** Removes from the head what Connection fields have named. */
export function removeListed(b: Buffer, head: Head, framing: Framing): void {
  for (let k = 0; k < framing.listed; k++) {
    const listed = Buffer.from(
      b.toString('latin1', framing.listedStart[k], framing.listedEnd[k]).toLowerCase(),
      'latin1',
    );
    head.removeNamed((buffer, start, end) => equalsIgnoreCase(buffer, start, end, listed));
  }
}
