import type { RequestHeaderModifier } from '../../api/proto/gen/linkerd/http_route_pb.js';
import { isToken } from '../bytes/characters.ts';
import { equalsIgnoreCase, fieldIdOf, isHopByHop } from '../message/field-names.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';

interface Field {
  readonly id: FieldId;
  readonly name: Buffer;
  readonly value: Buffer;
}

/** Fields that say how a message travels, or that only proxies may write: a route that changed them could make two readers of one message disagree. */
const RESERVED: ReadonlySet<FieldId> = new Set([
  FieldId.host,
  FieldId.contentLength,
  FieldId.te,
  FieldId.trailer,
  FieldId.expect,
  FieldId.l5dClientId,
  FieldId.l5dProxyError,
  FieldId.l5dOther,
  FieldId.forwarded,
]);

/** A field's value: visible characters, spaces and tabs between them (RFC 9110 section 5.5). */
const VALUE = /^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** Adds, replaces and removes fields of a head. Immutable. What names no field, or one that routes may not touch, is left out. */
export class HeaderModifier {
  readonly #fields: readonly Field[];
  readonly #gone: (name: Buffer, start: number, end: number) => boolean;

  constructor({ set, add, remove }: Pick<RequestHeaderModifier, 'set' | 'add' | 'remove'>) {
    const replaced = (set?.headers ?? []).flatMap(fieldOf);
    const names = [...replaced.map(({ name }) => name), ...remove.flatMap(nameOf)];
    this.#fields = [...replaced, ...(add?.headers ?? []).flatMap(fieldOf)];
    this.#gone = (name, start, end) => names.some((one) => equalsIgnoreCase(name, start, end, one));
  }

  /** False: the head has no room for them. */
  apply(head: Head): boolean {
    head.removeNamed(this.#gone);
    return this.#fields.every(({ id, name, value }) =>
      head.add(id, name, 0, name.length, value, 0, value.length),
    );
  }
}

function fieldOf({ name: text, value: bytes }: { name: string; value: Uint8Array }): Field[] {
  const value = Buffer.from(bytes);
  if (!VALUE.test(value.toString('latin1'))) return [];
  return nameOf(text).map((name) => ({ id: fieldIdOf(name, 0, name.length), name, value }));
}

function nameOf(text: string): Buffer[] {
  const name = Buffer.from(text.toLowerCase(), 'latin1');
  if (!isToken(name, 0, name.length)) return [];
  const id = fieldIdOf(name, 0, name.length);
  return isHopByHop(id) || RESERVED.has(id) ? [] : [name];
}
