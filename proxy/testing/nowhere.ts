import { Dispatch } from '../upstream/dispatch.ts';

/** Knows no destination: owns attempts of which only their own state counts. */
export class Nowhere extends Dispatch {
  protected override choose(): undefined {}
  protected override unplaced(): void {}
  protected override abandoned(): void {}
  protected override prepare(): void {}
}
