import type { Stream } from './stream.ts';

/** Room at the start: connections of our own proxies carry tens of streams at a time. */
const FIRST_SIZE = 32;
/** Ids of a client are odd: halved they are dense, and streams that live at the same time seldom meet. */
const slotOf = (id: number, mask: number): number => (id >>> 1) & mask;

/**
 * Streams by id: open addressing with linear probing. A `Map` costs a request two look-ups, an insertion and a deletion
 * in the runtime, and makes itself a new table every few dozen of them.
 */
export class StreamIndex {
  #slots: (Stream | undefined)[] = emptySlots(FIRST_SIZE);
  #mask = FIRST_SIZE - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    const slots = this.#slots;
    for (let i = slotOf(id, this.#mask); ; i = (i + 1) & this.#mask) {
      const stream = slots[i];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** The id must not be in use. */
  add(stream: Stream): void {
    // At most half full, so that a search soon comes to a free slot, and always to one.
    if (this.#size * 2 > this.#mask) this.#grow();
    this.#put(stream);
    this.#size++;
  }

  /** @returns false: it was not there */
  delete(id: number): boolean {
    const slots = this.#slots;
    const mask = this.#mask;
    let free = slotOf(id, mask);
    for (; slots[free]?.id !== id; free = (free + 1) & mask) if (slots[free] === undefined) return false;
    // What stands behind and was pushed there by others moves up: a search must not end at a gap before it.
    for (let i = (free + 1) & mask; ; i = (i + 1) & mask) {
      const stream = slots[i];
      if (stream === undefined) break;
      const home = slotOf(stream.id, mask);
      if (((i - home) & mask) < ((i - free) & mask)) continue;
      slots[free] = stream;
      free = i;
    }
    slots[free] = undefined;
    this.#size--;
    return true;
  }

  /** The streams at the moment of the call: the index may change meanwhile. */
  values(): Stream[] {
    return this.#slots.filter((stream) => stream !== undefined);
  }

  #put(stream: Stream): void {
    let i = slotOf(stream.id, this.#mask);
    while (this.#slots[i] !== undefined) i = (i + 1) & this.#mask;
    this.#slots[i] = stream;
  }

  #grow(): void {
    const streams = this.values();
    this.#mask = this.#slots.length * 2 - 1;
    this.#slots = emptySlots(this.#mask + 1);
    for (const stream of streams) this.#put(stream);
  }
}

function emptySlots(n: number): (Stream | undefined)[] {
  return Array.from({ length: n }, () => undefined);
}
