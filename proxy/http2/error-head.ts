import type { Cause } from '../errors.ts';
import { FieldId, Head } from '../message.ts';

const ERROR = Buffer.from('l5d-proxy-error');
const CONTENT_TYPE = Buffer.from('content-type');
const GRPC = Buffer.from('application/grpc');
const GRPC_STATUS = Buffer.from('grpc-status');

/** The head of an answer that the proxy makes itself. gRPC clients get theirs as a status of gRPC, without trailers. */
export function errorHead(cause: Cause, grpc: boolean): Head {
  const head = new Head();
  head.status = grpc ? 200 : cause.status;
  addField(head, FieldId.l5dProxyError, ERROR, Buffer.from(cause.code, 'latin1'));
  if (grpc) {
    addField(head, FieldId.contentType, CONTENT_TYPE, GRPC);
    addField(head, FieldId.grpcStatus, GRPC_STATUS, Buffer.from(String(cause.grpc)));
  }
  return head;
}

function addField(head: Head, id: FieldId, name: Buffer, value: Buffer): void {
  head.add(id, name, 0, name.length, value, 0, value.length);
}
