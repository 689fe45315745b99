/** Requests under way on one side of a process. What comes beyond the limit is refused at once (503), so that those under way are served. */
export class InFlight {
  readonly #max: number;
  active = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** More are under way than may be; the one that is looked at is counted already. */
  get over(): boolean {
    return this.active > this.#max;
  }
}
