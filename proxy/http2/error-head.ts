import { type Cause, toldStatus } from '../errors.ts';
import { FieldId } from '../message/field-id.ts';
import { Head } from '../message/head.ts';

const ERROR = Buffer.from('l5d-proxy-error');
const CONTENT_TYPE = Buffer.from('content-type');
const GRPC = Buffer.from('application/grpc');
const GRPC_STATUS = Buffer.from('grpc-status');
const GRPC_MESSAGE = Buffer.from('grpc-message');

/** The head of an answer that the proxy makes itself. gRPC clients get theirs as a status of gRPC with a message, without trailers. */
export function errorHead(cause: Cause, grpc: boolean): Head {
  const head = new Head();
  const { status, grpcStatus } = toldStatus(cause, grpc);
  head.status = status;
  const code = Buffer.from(cause.code, 'latin1');
  addField(head, FieldId.l5dProxyError, ERROR, code);
  if (grpcStatus !== undefined) {
    addField(head, FieldId.contentType, CONTENT_TYPE, GRPC);
    addField(head, FieldId.grpcStatus, GRPC_STATUS, Buffer.from(String(grpcStatus)));
    // What people see of it: libraries show this, and no other field.
    addField(head, FieldId.other, GRPC_MESSAGE, code);
  }
  return head;
}

function addField(head: Head, id: FieldId, name: Buffer, value: Buffer): void {
  head.add(id, name, 0, name.length, value, 0, value.length);
}
