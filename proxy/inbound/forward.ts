import { causes } from '../errors.ts';
import { FieldId, type Exchange, type Head } from '../message.ts';
import type { Attempt } from '../upstream/attempt.ts';
import { Dispatch, type Destination } from '../upstream/dispatch.ts';
import type { Apps } from './apps.ts';

/** Hands requests to the app of this pod that listens on a port. There is one destination: what it does not take is answered with 502. */
export class Forward extends Dispatch {
  readonly #apps: Apps;
  readonly #port: number;

  constructor(apps: Apps, port: number) {
    super();
    this.#apps = apps;
    this.#port = port;
  }

  protected override choose(_x: Exchange, failed: Destination | undefined): Destination | undefined {
    return failed === undefined ? this.#apps.app(this.#port) : undefined;
  }

  protected override unplaced(attempt: Attempt): void {
    this.fail(attempt, causes.overloaded);
  }

  protected override abandoned(): void {}

  protected override prepare(_x: Exchange, head: Head): void {
    head.remove(FieldId.isthmusPort);
    head.remove(FieldId.isthmusTarget);
    head.remove(FieldId.isthmusClient);
    head.remove(FieldId.isthmusProtocol);
  }
}
