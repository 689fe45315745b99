import { pseudoHeader } from '../../api/names.ts';
import { FieldId, type Head } from '../message.ts';

const names = new Map<FieldId, Buffer>([
  [FieldId.isthmusPort, Buffer.from(pseudoHeader.port)],
  [FieldId.isthmusTarget, Buffer.from(pseudoHeader.target)],
  [FieldId.isthmusClient, Buffer.from(pseudoHeader.client)],
  [FieldId.isthmusProtocol, Buffer.from(pseudoHeader.protocol)],
  [FieldId.isthmusTimeout, Buffer.from(pseudoHeader.timeout)],
  [FieldId.grpcTimeout, Buffer.from('grpc-timeout')],
  [FieldId.l5dClientId, Buffer.from('l5d-client-id')],
  [FieldId.forwarded, Buffer.from('forwarded')],
]);

/** Adds one of the fields that our layers write. False: the head is full. */
export function addField(head: Head, id: FieldId, value: Buffer): boolean {
  const name = names.get(id);
  if (name === undefined) throw new Error(`no layer writes the field ${id}`);
  return head.add(id, name, 0, name.length, value, 0, value.length);
}

/** The value of a field that must stand at most once; undefined when it is absent, empty or there twice. */
export function soleValue(head: Head, id: FieldId): string | undefined {
  const at = head.find(id);
  if (at < 0 || head.find(id, at + 1) >= 0) return undefined;
  const value = head.value(at);
  return value === '' ? undefined : value;
}
