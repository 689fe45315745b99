import { FieldId, FieldSet } from '../message/field-id.ts';
import type { Head } from '../message/head.ts';
import type { LastingField } from '../message/lasting-field.ts';
import type { Exchange } from '../message/message.ts';
import { removeRequiredIdentity } from '../upstream/required-identity.ts';
import { ownField } from '../upstream/fields.ts';
import { type Inner, StackLayer } from '../upstream/stack-layer.ts';

const CLIENT_ID = new FieldSet(FieldId.l5dClientId);
const CLIENT_ID_AND_FORWARDED = new FieldSet(FieldId.l5dClientId, FieldId.forwarded);

/**
 * What the app is told of identities. `l5d-client-id` is what its client has proved, and never what anybody wrote.
 * `forwarded` stays only when the own cluster's gateway wrote it. `l5d-require-id` has done its work by now and goes.
 */
export class IdentityFieldsLayer extends StackLayer {
  readonly #clientId: LastingField | undefined;
  readonly #claims: FieldSet;

  /** @param clientName empty: the client has proved no identity */
  constructor(inner: Inner, clientName: string, keepsForwarded: boolean) {
    super(inner);
    this.#clientId = clientName === '' ? undefined : ownField(FieldId.l5dClientId, clientName);
    this.#claims = keepsForwarded ? CLIENT_ID : CLIENT_ID_AND_FORWARDED;
  }

  override requestHead(x: Exchange, head: Head, end: boolean): void {
    head.removeAll(this.#claims);
    removeRequiredIdentity(head);
    if (this.#clientId !== undefined) head.addLasting(FieldId.l5dClientId, this.#clientId);
    super.requestHead(x, head, end);
  }
}
