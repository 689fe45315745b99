/** Parts that a window is cut into: what is forgotten at once is a tenth of it. */
const SLOTS = 10;

/** Two sums over the last `windowMs`. Nothing is allocated after construction; adding costs a few assignments. */
export class SlidingWindow {
  readonly #slotMs: number;
  readonly #first = new Float64Array(SLOTS);
  readonly #second = new Float64Array(SLOTS);
  /** Number of the slot of the last look, counted from time 0. */
  #slot = 0;
  #firstSum = 0;
  #secondSum = 0;

  constructor(windowMs: number) {
    this.#slotMs = windowMs / SLOTS;
  }

  /** @param now ms, monotonic */
  add(now: number, first: number, second: number): void {
    this.#forget(now);
    const at = this.#slot % SLOTS;
    this.#first[at] = (this.#first[at] ?? 0) + first;
    this.#second[at] = (this.#second[at] ?? 0) + second;
    this.#firstSum += first;
    this.#secondSum += second;
  }

  first(now: number): number {
    this.#forget(now);
    return this.#firstSum;
  }

  second(now: number): number {
    this.#forget(now);
    return this.#secondSum;
  }

  clear(): void {
    this.#first.fill(0);
    this.#second.fill(0);
    this.#firstSum = 0;
    this.#secondSum = 0;
  }

  #forget(now: number): void {
    const slot = Math.floor(now / this.#slotMs);
    if (slot <= this.#slot) return;
    if (slot - this.#slot >= SLOTS) this.clear();
    else for (let i = this.#slot + 1; i <= slot; i++) this.#drop(i % SLOTS);
    this.#slot = slot;
  }

  #drop(at: number): void {
    this.#firstSum -= this.#first[at] ?? 0;
    this.#secondSum -= this.#second[at] ?? 0;
    this.#first[at] = 0;
    this.#second[at] = 0;
  }
}
