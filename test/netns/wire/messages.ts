import type { Counts, Faults } from './link.ts';

/** What the wire's process is asked to do; `address` names an end. */
export type ToWire =
  /** Takes up the TUN device of a namespace. */
  | { readonly do: 'attach'; readonly address: string; readonly namespace: string; readonly device: string }
  | { readonly do: 'set'; readonly address: string; readonly faults: Partial<Faults> }
  | { readonly do: 'lose' | 'reset' | 'count'; readonly address: string }
  /** Answered when the next packet there has vanished. */
  | { readonly do: 'until-dropped'; readonly address: string };

/** Each is answered once; of several at a time the number says which it is. */
export interface Asked {
  readonly number: number;
  readonly task: ToWire;
}

export interface Answered {
  readonly number: number;
  readonly counts: Counts;
}
