import { pointAt } from '../bytes/span.ts';
import { Http2Connection } from '../http2/connection.ts';
import { FieldId, FieldSet } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { LastingField } from '../message/lasting-field.ts';
import type { Exchange } from '../message/message.ts';
import { formatGrpcTimeout } from '../route/request-fields.ts';
import { attemptOf } from '../upstream/attempt.ts';
import { addField, ownField } from '../upstream/fields.ts';
import { markRequest, unmark } from '../upstream/orig-proto.ts';
import type { Reach } from './reach.ts';

/**
 * Fields that only a proxy may write. What somebody wrote there before us is not believed, and what we wrote at an
 * earlier try may be meant for another endpoint.
 */
const OURS_ALONE = new FieldSet(
  FieldId.isthmusPort,
  FieldId.isthmusTarget,
  FieldId.isthmusClient,
  FieldId.isthmusProtocol,
  FieldId.isthmusTimeout,
  FieldId.l5dClientId,
);

const TCP = ownField(FieldId.isthmusProtocol, 'tcp');
const HTTP1 = ownField(FieldId.isthmusProtocol, 'http/1.1');
const HTTP2 = ownField(FieldId.isthmusProtocol, 'h2');

/** Tells the peer of a request's connection in its own way where the request goes: by fields of `isthmus/1`, by Linkerd's marks, or not at all. */
export class PeerFields {
  readonly #now: () => number;
  /** The last client's name as a field: of a gateway's connection all requests have the same. */
  #client = { name: '', field: ownField(FieldId.isthmusClient, '') };

  /** @param now ms, monotonic */
  constructor(now: () => number) {
    this.#now = now;
  }

  write(x: Exchange, head: Head, { port, target }: Reach): void {
    head.removeAll(OURS_ALONE);
    const leftMs = x.deadline === 0 ? 0 : Math.max(1, Math.floor(x.deadline - this.#now()));
    if (leftMs > 0 && attemptOf(x).grpc) setGrpcTimeout(head, leftMs);
    const { sink } = attemptOf(x);
    const shared = sink instanceof Http2Connection ? sink : undefined;
    if (shared?.isthmus !== true) {
      // A plain server, or Linkerd's way: the port and the name have gone ahead, and Linkerd's gateway wants to see that name.
      if (target !== undefined) pointAt(head.authority, target.buffer, target.nameEnd, target.valueEnd);
      unmark(head);
      if (shared !== undefined && !x.http2) markRequest(head, target === undefined);
      return;
    }
    if (attemptOf(x).retried) unmark(head);
    if (target !== undefined) head.addLasting(FieldId.isthmusTarget, target);
    else head.addLasting(FieldId.isthmusPort, port);
    head.addLasting(FieldId.isthmusProtocol, x.opaque ? TCP : x.http2 ? HTTP2 : HTTP1);
    if (x.assertedClient !== undefined)
      head.addLasting(FieldId.isthmusClient, this.#clientField(x.assertedClient));
    if (leftMs > 0) addField(head, FieldId.isthmusTimeout, String(leftMs));
  }

  #clientField(name: string): LastingField {
    if (this.#client.name !== name) this.#client = { name, field: ownField(FieldId.isthmusClient, name) };
    return this.#client.field;
  }
}

/** Takes Linkerd's marks off an answer that came by its way: nothing of them is for the client. */
export function removeMarks(x: Exchange, head: Head): void {
  const { sink } = attemptOf(x);
  if (sink instanceof Http2Connection && !sink.isthmus) unmark(head);
}

/** The app is told what is left of the time, whether its client said so or the route does. */
function setGrpcTimeout(head: Head, leftMs: number): void {
  head.remove(FieldId.grpcTimeout);
  addField(head, FieldId.grpcTimeout, formatGrpcTimeout(leftMs));
}
