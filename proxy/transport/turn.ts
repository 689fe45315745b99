/**
 * When output is written. Everything that one turn of the event loop produced for a connection leaves in one write: it saves system calls and TLS records, and is
 * where a multiplexing proxy wins its CPU. While few exchanges are in flight there is nothing to batch, so the bytes leave when the read callback ends.
 */
export interface Flushable {
  /** Managed here: it stands in one of the lists. */
  scheduled: boolean;
  /** So much is pending that it is worth waiting for more. */
  readonly bulky: boolean;
  flush(): void;
}

let eager: Flushable[] = [];
let late: Flushable[] = [];
let immediateSet = false;
let inCallback = false;

/** Writes at the end of the turn. */
export function flushLate(x: Flushable): void {
  if (x.scheduled) return;
  x.scheduled = true;
  late.push(x);
  if (immediateSet) return;
  immediateSet = true;
  setImmediate(flushAllLate);
}

/** Writes at the end of the I/O callback that runs now; at the end of the turn when none does. */
export function flushEager(x: Flushable): void {
  if (!inCallback) {
    flushLate(x);
    return;
  }
  if (x.scheduled) return;
  x.scheduled = true;
  eager.push(x);
}

/** An I/O callback begins. */
export function beginCallback(): void {
  inCallback = true;
}

/** An I/O callback ends: what was scheduled eagerly in it is written. */
export function endCallback(): void {
  inCallback = false;
  if (eager.length === 0) return;
  const list = eager;
  eager = [];
  for (const x of list) {
    x.scheduled = false;
    // TLS hands a large read on in records, a callback each: they leave together.
    if (x.bulky) flushLate(x);
    else x.flush();
  }
}

function flushAllLate(): void {
  immediateSet = false;
  const list = late;
  late = [];
  for (const x of list) {
    x.scheduled = false;
    x.flush();
  }
}
