import { callbackClock } from './turn.ts';

/** Slots of the wheel; a power of two, so that a slot is found by a mask. At 100 ms a tick, one turn is 51 s: stall and keep-alive timers fit in one. */
const SLOTS = 512;
/** ms. Coarse: the data path's deadlines are seconds. */
const DEFAULT_TICK_MS = 100;

/** Something that a wheel wakes. Its owner makes it once and re-arms it, so nothing is allocated per request. */
export class Timer {
  readonly fire: () => void;
  /** Tick at which it is due; -1: not armed. Written by the wheel only. */
  due = -1;
  previous: Timer | undefined = undefined;
  next: Timer | undefined = undefined;

  /** `fire` is called by the wheel, once per arming. */
  constructor(fire: () => void) {
    this.fire = fire;
  }

  get armed(): boolean {
    return this.due >= 0;
  }
}

/** A hashed timer wheel: arming and cancelling cost a few assignments. */
export class TimerWheel {
  readonly #source: () => number;
  readonly #tickMs: number;
  readonly #slots: (Timer | undefined)[] = Array.from({ length: SLOTS });
  readonly #origin: number;
  #current = 0;
  #interval: NodeJS.Timeout | undefined = undefined;
  #armed = 0;
  /** Ticks only while something is armed. */
  #rests = false;

  /** `now`: ms of a monotonic clock. Nothing runs until `start` (tests call `tick`). */
  constructor(now: () => number = callbackClock, tickMs: number = DEFAULT_TICK_MS) {
    this.#source = now;
    this.#tickMs = tickMs;
    this.#origin = now();
  }

  /** ms of the monotonic clock. */
  now(): number {
    return this.#source();
  }

  /**
   * Ticks until now: what moves with every request counts in them, since a whole number lies in its object, and any
   * other in memory of its own. Of no use in a wheel that rests.
   */
  get ticks(): number {
    return this.#current;
  }

  /** The ticks that `ms` last. */
  ticksOf(ms: number): number {
    return Math.ceil(ms / this.#tickMs);
  }

  /** ms that so many ticks last. */
  msOf(ticks: number): number {
    return ticks * this.#tickMs;
  }

  /** ms of the same clock at the last tick: for who looks often and needs no better. Of no use in a wheel that rests. */
  get lastTick(): number {
    return this.#origin + this.#current * this.#tickMs;
  }

  /** Arms, or re-arms: fires between delayMs and delayMs + one tick from now (later while the process is busy). */
  arm(timer: Timer, delayMs: number): void {
    if (timer.due >= 0) this.#unlink(timer);
    const elapsed = this.#source() - this.#origin + delayMs;
    timer.due = Math.max(this.#current + 1, Math.ceil(elapsed / this.#tickMs));
    this.#link(timer);
  }

  cancel(timer: Timer): void {
    if (timer.due < 0) return;
    this.#unlink(timer);
    timer.due = -1;
  }

  /** Ticks by the runtime's clock; does not keep the process alive. */
  start(): void {
    this.#interval ??= setInterval(() => this.tick(), this.#tickMs).unref();
  }

  /** The same, but only while something is armed: a wheel with short ticks must not wake an idle process. */
  startResting(): void {
    this.#rests = true;
    if (this.#armed > 0) this.start();
  }

  stop(): void {
    this.#rests = false;
    this.#halt();
  }

  #halt(): void {
    clearInterval(this.#interval);
    this.#interval = undefined;
  }

  /** Fires what is due. */
  tick(): void {
    const target = Math.floor((this.#source() - this.#origin) / this.#tickMs);
    // After a long pause every slot is visited once at most: a timer is due by its tick, not by its slot.
    const first = Math.max(this.#current + 1, target - SLOTS + 1);
    this.#current = Math.max(this.#current, target);
    for (let tick = first; tick <= target; tick++) this.#fireSlot(tick & (SLOTS - 1), target);
    if (this.#rests && this.#armed === 0) this.#halt();
  }

  #fireSlot(slot: number, target: number): void {
    // A callback may cancel or re-arm any timer, so the walk starts again after each.
    for (;;) {
      let timer = this.#slots[slot];
      while (timer !== undefined && timer.due > target) timer = timer.next;
      if (timer === undefined) return;
      this.#unlink(timer);
      timer.due = -1;
      timer.fire();
    }
  }

  #link(timer: Timer): void {
    const slot = timer.due & (SLOTS - 1);
    const head = this.#slots[slot];
    timer.previous = undefined;
    timer.next = head;
    if (head !== undefined) head.previous = timer;
    this.#slots[slot] = timer;
    this.#armed++;
    if (this.#rests && this.#interval === undefined) this.start();
  }

  #unlink(timer: Timer): void {
    this.#armed--;
    if (timer.next !== undefined) timer.next.previous = timer.previous;
    if (timer.previous === undefined) this.#slots[timer.due & (SLOTS - 1)] = timer.next;
    else timer.previous.next = timer.next;
    timer.previous = undefined;
    timer.next = undefined;
  }
}
