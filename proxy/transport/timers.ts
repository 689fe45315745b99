/** Something that a wheel wakes. Intrusive: the owner makes one per purpose and re-arms it, so nothing is allocated per request. */
export declare class Timer {
  /** `fire` is called by the wheel, once per arming. */
  constructor(fire: () => void);
  readonly armed: boolean;
}

/** Coarse timers for the data path. */
export declare class TimerWheel {
  /** `now`: ms of a monotonic clock. Nothing runs until `start` (tests call `tick`). */
  constructor(now?: () => number, tickMs?: number);
  /** ms of the monotonic clock, as of the last tick or read callback: never older than one tick. */
  now(): number;
  /** (Re-)arms: fires between delayMs and delayMs + tickMs from now. */
  arm(timer: Timer, delayMs: number): void;
  cancel(timer: Timer): void;
  start(): void;
  stop(): void;
  /** Fires what is due. */
  tick(): void;
}
