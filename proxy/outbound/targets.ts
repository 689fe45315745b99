import { Timer } from '../transport/timers.ts';
import { Target, type TargetOptions } from './target.ts';

/** ms without a request after which a target's streams are closed. What they told is remembered. */
export const TARGET_IDLE_MS = 60_000;
/** Targets known at once: apps choose the names. Beyond it the least recently used idle ones are forgotten. */
export const MAX_TARGETS = 2_000;

/** A fraction of `TARGET_IDLE_MS`: it need not be kept to the second, and a look goes through all targets. */
const LOOK_EVERY_MS = 5_000;

/** The targets of a proxy, by the authority that apps name. */
export class Targets {
  readonly #options: TargetOptions;
  readonly #byAuthority = new Map<string, Target>();
  readonly #timer = new Timer(() => this.#look());

  constructor(options: TargetOptions) {
    this.#options = options;
    options.timers.arm(this.#timer, LOOK_EVERY_MS);
  }

  /** Authorities that have been asked for, and are not forgotten. */
  get size(): number {
    return this.#byAuthority.size;
  }

  /** Requests under way. */
  get active(): number {
    let n = 0;
    for (const target of this.#byAuthority.values()) n += target.active;
    return n;
  }

  /** @param authority `host:port`, lower case; undefined is returned when there are too many targets in use */
  get(authority: string): Target | undefined {
    let target = this.#byAuthority.get(authority);
    if (target === undefined) {
      if (this.#byAuthority.size >= MAX_TARGETS && !this.#forgetOne()) return undefined;
      target = new Target(authority, this.#options);
      this.#byAuthority.set(authority, target);
    }
    target.touch();
    return target;
  }

  close(): void {
    this.#options.timers.cancel(this.#timer);
    for (const target of this.#byAuthority.values()) target.close();
    this.#byAuthority.clear();
  }

  #look(): void {
    const { timers, now } = this.#options;
    for (const target of this.#byAuthority.values()) {
      if (target.active === 0 && now() - target.lastUsed >= TARGET_IDLE_MS) target.suspend();
    }
    timers.arm(this.#timer, LOOK_EVERY_MS);
  }

  #forgetOne(): boolean {
    let oldest: Target | undefined;
    for (const target of this.#byAuthority.values()) {
      if (target.active === 0 && (oldest === undefined || target.lastUsed < oldest.lastUsed)) oldest = target;
    }
    if (oldest === undefined) return false;
    oldest.close();
    return this.#byAuthority.delete(oldest.authority);
  }
}
