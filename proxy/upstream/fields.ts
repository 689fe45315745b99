import { pseudoHeader } from '../../api/names.ts';
import { FieldId } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import { lastingField, type LastingField } from '../message/lasting-field.ts';

const names = new Map<FieldId, string>([
  [FieldId.isthmusPort, pseudoHeader.port],
  [FieldId.isthmusTarget, pseudoHeader.target],
  [FieldId.isthmusClient, pseudoHeader.client],
  [FieldId.isthmusProtocol, pseudoHeader.protocol],
  [FieldId.isthmusTimeout, pseudoHeader.timeout],
  [FieldId.grpcTimeout, 'grpc-timeout'],
  [FieldId.l5dClientId, 'l5d-client-id'],
  [FieldId.forwarded, 'forwarded'],
]);

/** One of the fields that our layers write. To be kept where the value repeats: `Head.addLasting`. */
export function ownField(id: FieldId, value: string): LastingField {
  const name = names.get(id);
  if (name === undefined) throw new Error(`no layer writes the field ${id}`);
  return lastingField(name, value);
}

/** Adds such a field, of a value that does not repeat. False: the head is full. */
export function addField(head: Head, id: FieldId, value: string): boolean {
  const { buffer, nameStart, nameEnd, valueEnd } = ownField(id, value);
  return head.add(id, buffer, nameStart, nameEnd, buffer, nameEnd, valueEnd);
}

/** The value of a field that must stand at most once; undefined when it is absent, empty or there twice. */
export function soleValue(head: Head, id: FieldId): string | undefined {
  const at = head.find(id);
  if (at < 0 || head.find(id, at + 1) >= 0) return undefined;
  const value = head.value(at);
  return value === '' ? undefined : value;
}
