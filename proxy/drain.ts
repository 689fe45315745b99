import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Runtime } from './runtime.ts';
import { Timer, type TimerWheel } from './transport/timers.ts';

/** ms between looks at what a drain still waits for. */
const DRAIN_LOOK_MS = 20;
/**
 * Turns of the event loop in which closes are told: handles' behind the one that they were closed in, sockets' one
 * later.
 */
const CLOSING_TURNS = 3;

/** Waits until nothing is under way, at most `graceMs`. @returns whether all ended in time */
export function untilIdle(timers: TimerWheel, busy: () => boolean, graceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const end = timers.now() + graceMs;
    const timer = new Timer(() => look());
    const look = (): void => {
      if (!busy()) resolve(true);
      else if (timers.now() >= end) resolve(false);
      else timers.arm(timer, DRAIN_LOOK_MS);
    };
    look();
  });
}

/**
 * Closes what is left of a drain. Called when connections to apps and peers have been destroyed: these tell of their
 * close some turns later, those on the runtime's sockets last. Clients whose answers break off by it must see that. If
 * their own connections were ended in the same turn, the end would pass for that of a whole answer.
 */
export async function cutRest({ tracker }: Runtime): Promise<void> {
  for (let turn = 0; turn < CLOSING_TURNS; turn++) await nextTurn();
  tracker.destroyAll();
}
