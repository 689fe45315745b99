import { forgedReset, segmentOf, type Segment } from './packet.ts';

/** What is wrong with the link of one end, in both directions where nothing else is said. Shares are of packets, from 0 to 1. */
export interface Faults {
  /** What comes from the end vanishes. */
  readonly mute: boolean;
  /** What goes to the end vanishes. */
  readonly deaf: boolean;
  /** Longer packets vanish, and nobody is told: a path whose narrowest part says nothing. */
  readonly maxBytes: number;
  readonly loss: number;
  readonly delayMs: number;
  /** So many packets come `lateMs` behind the others, and so after those that were sent later. */
  readonly late: number;
  readonly lateMs: number;
}

export const SOUND: Faults = {
  mute: false,
  deaf: false,
  maxBytes: Infinity,
  loss: 0,
  delayMs: 0,
  late: 0,
  lateMs: 0,
};

/** What has become of packets. */
export interface Counts {
  passed: number;
  dropped: number;
  late: number;
}

/** Of a packet: it vanishes, or is so many ms on its way. */
export type Fate = 'dropped' | number;

/** The link of one end: what passes it, and which flows it has seen. */
export class Link {
  faults: Faults = SOUND;
  readonly counts: Counts = { passed: 0, dropped: 0, late: 0 };
  readonly #random: () => number;
  /** By flow: what its receiver waits for. */
  readonly #seen = new Map<string, { delivered: number; acknowledged: number }>();
  readonly #lost = new Set<string>();

  /** @param random a number in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** What becomes of a packet that goes to the end, or comes from it. */
  judge(packet: Buffer, goes: 'to' | 'from'): Fate {
    const segment = segmentOf(packet);
    if (segment?.opens === true) this.#found(segment);
    if (this.#drops(packet, goes, segment)) {
      this.counts.dropped++;
      return 'dropped';
    }
    if (segment !== undefined) this.#remember(segment);
    this.counts.passed++;
    const { delayMs, late, lateMs } = this.faults;
    if (late === 0 || this.#random() >= late) return delayMs;
    this.counts.late++;
    return delayMs + lateMs;
  }

  /** From now on nothing of the flows passes that there have been: a firewall that has lost its table. */
  lose(): void {
    for (const flow of this.#seen.keys()) this.#lost.add(flow);
    this.#seen.clear();
  }

  /** Packets that reset all flows on both of their sides, as boxes between them send them. */
  resets(): Buffer[] {
    return [...this.#seen].flatMap(([flow, { delivered, acknowledged }]) =>
      // What was delivered last may not have been acknowledged yet, or have come before what was lost.
      [...new Set([delivered, acknowledged])].map((sequence) => forgedReset(flow, sequence)),
    );
  }

  #drops(packet: Buffer, goes: 'to' | 'from', segment: Segment | undefined): boolean {
    const { mute, deaf, maxBytes, loss } = this.faults;
    if (goes === 'to' ? deaf : mute) return true;
    if (segment !== undefined && this.#lost.has(segment.flow)) return true;
    return packet.length > maxBytes || (loss > 0 && this.#random() < loss);
  }

  /** Its ports are used again. */
  #found({ flow, back }: Segment): void {
    this.#lost.delete(flow);
    this.#lost.delete(back);
  }

  #remember({ flow, back, end, ack }: Segment): void {
    const known = this.#seen.get(flow);
    if (known === undefined) this.#seen.set(flow, { delivered: end, acknowledged: end });
    else if (((end - known.delivered) | 0) > 0) known.delivered = end;
    const other = this.#seen.get(back);
    if (other !== undefined && ack !== undefined) other.acknowledged = ack;
  }
}
