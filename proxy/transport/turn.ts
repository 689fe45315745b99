import { performance } from 'node:perf_hooks';

/**
 * When output is written. Everything that one turn of the event loop produced for a connection leaves in one write: it
 * saves system calls and TLS records, and is where a multiplexing proxy wins its CPU. While the turn was busy more has
 * come, so small output waits for one more look at what can be read. While few exchanges are in flight there is nothing
 * to batch, so the bytes leave when the read callback ends.
 */
export interface Flushable {
  /** Managed here: it stands in one of the lists. */
  scheduled: boolean;
  /** So much is pending that it is worth waiting for more. */
  readonly bulky: boolean;
  flush(): void;
}

/**
 * Has read bytes that others are read behind, of its own or of other connections: it hands them on when more of its own
 * have come, at the end of the turn at the latest.
 */
export interface HeldRead {
  deliver(): void;
}

/** One list of those that wait: filled, then emptied at once; what is added meanwhile goes into the next round. Its arrays are used again. */
class TurnList<T> {
  #items: (T | undefined)[] = [];
  #spare: (T | undefined)[] = [];
  #length = 0;

  get empty(): boolean {
    return this.#length === 0;
  }

  add(x: T): void {
    this.#items[this.#length++] = x;
  }

  /**
   * Takes everyone out; `each` may add again. A fault of one is thrown when all have had their turn: the others are of
   * other connections, and would wait for good.
   */
  empties(each: (x: T) => void): void {
    const items = this.#items;
    const length = this.#length;
    this.#items = this.#spare;
    this.#spare = [];
    this.#length = 0;
    let fault: { readonly error: unknown } | undefined;
    for (let i = 0; i < length; i++) {
      const x = items[i];
      items[i] = undefined;
      try {
        if (x !== undefined) each(x);
      } catch (error) {
        fault ??= { error };
      }
    }
    this.#spare = items;
    if (fault !== undefined) throw fault.error;
  }
}

const eager = new TurnList<Flushable>();
const late = new TurnList<Flushable>();
const held = new TurnList<HeldRead>();
/**
 * Runs at the end of the turn while `set`. The last one stays when it has run: in a full collection at which there is
 * none V8 forgets what they look like, and gives up what it has compiled for them, the runtime's own way of running
 * them included.
 */
const ending: { set: boolean; immediate: NodeJS.Immediate | undefined } = {
  set: false,
  immediate: undefined,
};
let inCallback = false;
/** Something was read, or was told to be written, since output was last thought of. */
let callbackRan = false;
/** The look is being taken. */
let looking = false;
/** Reads in a turn from which on it is crowded. */
const CROWD = 4;
/**
 * Ends of turns without a crowd after which none is expected. With many clients turns of requests, turns of answers and
 * looks at what has come meanwhile alternate: by the turn before alone half of the reads of such a load went unheld.
 */
const CALM = 16;
/** Reads that asked whether their turn is likely to be crowded, since the last end of a turn. */
let reads = 0;
/** Ends of turns since the last crowd. */
let calm = CALM;
/** ms of the clock in this callback; 0: not read yet. */
let callbackTime = 0;

/** Writes at the end of the turn; small output of a turn that has read something at the end of the next one. */
export function flushLate(x: Flushable): void {
  if (x.scheduled) return;
  x.scheduled = true;
  late.add(x);
  atEndOfTurn();
}

/** Hands on at the end of the turn, before output is written. Once until then. */
export function deliverLate(x: HeldRead): void {
  held.add(x);
  atEndOfTurn();
}

/**
 * A read has come without TLS.
 * @returns whether one of the last turns had many: then this one is likely to have, too. Ends of turns are only noticed
 * where output waits for them, so that after a quiet time some turns pass for crowded that are not.
 */
export function isCrowded(): boolean {
  reads++;
  return calm < CALM;
}

function atEndOfTurn(): void {
  if (ending.set) return;
  ending.set = true;
  ending.immediate = setImmediate(endTurn);
}

/** Writes at the end of the I/O callback that runs now; at the end of the turn when none does. */
export function flushEager(x: Flushable): void {
  if (!inCallback) {
    flushLate(x);
    return;
  }
  if (x.scheduled) return;
  x.scheduled = true;
  eager.add(x);
}

/**
 * An I/O callback begins. `endCallback` follows, also behind a fault: without it the clock of all connections stands
 * still.
 */
export function beginCallback(): void {
  inCallback = true;
  callbackRan = true;
  callbackTime = 0;
}

/** ms of the monotonic clock. Read once an I/O callback: all that one read brings happens at the same time, and asks for it several times a request. */
export function callbackClock(): number {
  if (!inCallback) return performance.now();
  if (callbackTime === 0) callbackTime = performance.now();
  return callbackTime;
}

/** An I/O callback ends: what was scheduled eagerly in it is written. */
export function endCallback(): void {
  inCallback = false;
  if (!eager.empty) eager.empties(flushOrWait);
}

/** TLS hands a large read on in records, a callback each: they leave together. */
function flushOrWait(x: Flushable): void {
  x.scheduled = false;
  if (x.bulky) flushLate(x);
  else x.flush();
}

function endTurn(): void {
  if (reads >= CROWD) calm = 0;
  else if (calm < CALM) calm++;
  reads = 0;
  try {
    if (!held.empty) deliverHeld();
  } finally {
    writeLate();
  }
}

function writeLate(): void {
  looking = callbackRan && !looking;
  callbackRan = false;
  ending.set = false;
  try {
    late.empties(looking ? flushBulk : flushNow);
  } finally {
    if (late.empty) looking = false;
    // The loop asks for what has come without waiting for it, and is here again at the end of the next turn.
    else atEndOfTurn();
  }
}

/** What is worth a write does not wait: more of it would leave the processor's cache. */
function flushBulk(x: Flushable): void {
  if (x.bulky) flushNow(x);
  else late.add(x);
}

/** All in one: nothing comes between them. */
function deliverHeld(): void {
  beginCallback();
  try {
    held.empties(deliver);
  } finally {
    endCallback();
  }
}

function deliver(x: HeldRead): void {
  x.deliver();
}

function flushNow(x: Flushable): void {
  x.scheduled = false;
  x.flush();
}
