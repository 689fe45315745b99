import { FieldId, type Exchange, type Head, type LastingField } from '../message.ts';
import { ownField } from '../upstream/fields.ts';
import { type Inner, StackLayer } from '../upstream/stack-layer.ts';

/**
 * What the app is told of its client: `l5d-client-id` is what was proved, and nothing that anybody wrote. `forwarded` stays only from the own cluster's gateway.
 */
export class IdentityFieldsLayer extends StackLayer {
  readonly #clientId: LastingField | undefined;
  readonly #keepsForwarded: boolean;

  /** @param clientName empty: the client has proved no identity */
  constructor(inner: Inner, clientName: string, keepsForwarded: boolean) {
    super(inner);
    this.#clientId = clientName === '' ? undefined : ownField(FieldId.l5dClientId, clientName);
    this.#keepsForwarded = keepsForwarded;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    head.remove(FieldId.l5dClientId);
    if (!this.#keepsForwarded) head.remove(FieldId.forwarded);
    if (this.#clientId !== undefined) head.addLasting(FieldId.l5dClientId, this.#clientId);
    super.requestHead(x, head, end);
  }
}
