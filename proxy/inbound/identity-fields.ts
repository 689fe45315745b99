import { FieldId, type Exchange, type Head } from '../message.ts';
import { addField } from '../upstream/fields.ts';
import { type Inner, StackLayer } from '../upstream/stack-layer.ts';

/**
 * What the app is told of its client: `l5d-client-id` is what was proved, and nothing that anybody wrote. `forwarded` stays only from the own cluster's gateway.
 */
export class IdentityFieldsLayer extends StackLayer {
  readonly #clientId: Buffer | undefined;
  readonly #keepsForwarded: boolean;

  /** @param clientName empty: the client has proved no identity */
  constructor(inner: Inner, clientName: string, keepsForwarded: boolean) {
    super(inner);
    this.#clientId = clientName === '' ? undefined : Buffer.from(clientName, 'latin1');
    this.#keepsForwarded = keepsForwarded;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    head.remove(FieldId.l5dClientId);
    if (!this.#keepsForwarded) head.remove(FieldId.forwarded);
    if (this.#clientId !== undefined) addField(head, FieldId.l5dClientId, this.#clientId);
    super.requestHead(x, head, end);
  }
}
