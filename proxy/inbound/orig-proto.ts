import { FieldId, type Exchange, type Head } from '../message.ts';
import { StackLayer } from '../upstream/stack-layer.ts';

const NAME = Buffer.from('l5d-orig-proto');
const HTTP1 = Buffer.from('HTTP/1.1');

/** Linkerd's proxy carries its app's HTTP/1.1 in HTTP/2, and says so in this field. */
export function carriesHttp1(head: Head): boolean {
  for (let i = head.find(FieldId.l5dOther); i >= 0; i = head.find(FieldId.l5dOther, i + 1))
    if (isOrigProto(head.nameBuffer[i], head.nameStart[i] ?? 0, head.nameEnd[i] ?? 0)) return true;
  return false;
}

/** The app gets HTTP/1.1 without the field, and the answer says that it was HTTP/1.1: the other proxy makes it that again for its app. */
export class OrigProtoLayer extends StackLayer {
  override requestHead(x: Exchange, head: Head, end: boolean): void {
    head.removeNamed(isOrigProto);
    super.requestHead(x, head, end);
  }

  override responseHead(x: Exchange, head: Head, end: boolean): void {
    head.removeNamed(isOrigProto);
    head.add(FieldId.l5dOther, NAME, 0, NAME.length, HTTP1, 0, HTTP1.length);
    super.responseHead(x, head, end);
  }
}

function isOrigProto(name: Buffer | undefined, start: number, end: number): boolean {
  return (
    name !== undefined && end - start === NAME.length && name.compare(NAME, 0, NAME.length, start, end) === 0
  );
}
