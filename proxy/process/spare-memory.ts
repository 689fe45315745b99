import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { LibraryHandle } from 'koffi';
import { env } from '../../api/names.ts';
import { ownLockGraphPages } from './lock-graph.ts';
import { filePages } from './program-pages.ts';
import { forgetBuffers, onForgottenBuffer } from '../transport/buffers.ts';

/** Bytes of growth that are worth giving pages back for: that takes half a ms, and a page that is touched again costs a fault. */
const WORTH_BYTES = 1024 * 1024;
/** ms between looks at the size of the process. */
const LOOK_MS = 1_000;
/**
 * Events of the loop from one look to the next up to which a process is quiet, whatever the machine. Each request is
 * two of a sidecar, and what it does without any up to eight a second: so one that has more than four requests a
 * second, of which each twentieth would wait for a collection, is left to V8's own.
 */
const QUIET_EVENTS = 16;
/**
 * The same in ms of CPU, its compilers included: 2 %. One without requests takes 1 to 8, 10 requests a second 5 to 11,
 * 50 take 18 to 33, 100 take 31 to 53, 300 45 to 91.
 */
const QUIET_MS = 20;
/**
 * Bytes of growth since the last collection that are worth another: that is 35 to 70 ms of a process that has nothing
 * else to do.
 */
const WORTH_COLLECTING_BYTES = 3 * 1024 * 1024;
/** ms to the time from which V8 saves memory: the warm-up and what it has given the compilers to do are over. */
const SAVE_AFTER_MS = 5_000;

/** linux/mman.h: the process does not need the pages now. */
const MADV_DONTNEED = 4;
/** By which abseil is told that its mutexes need not look for deadlocks; a Node that is built otherwise does not have it. */
const DETECT = 'void _ZN4absl29SetMutexDeadlockDetectionModeENS_15OnDeadlockCycleE(int)';
const DETECT_NOTHING = 0;

/** unistd.h of glibc. */
const SC_PAGESIZE = 30;

/** The process as its memory is seen. */
export interface ProcessMemory {
  /** Bytes present that no file stands behind. */
  anonymous(): number;
  /** Lets pages of programs and libraries go that are as in their files: who touches one again finds it in the page cache. */
  leaveFilePages(): void;
  /** ms of CPU that it has used, all threads. */
  cpuMs(): number;
  /** What its loop has been told of: what has come, what was written, who has connected. Timers are none. */
  events(): number;
  /**
   * Collects all garbage and moves what is left together: some 40 ms. What was compiled for objects of which there is
   * none goes with it, so that whoever comes next pays a part of that again.
   */
  collect(): void;
  /**
   * From now on V8 lets its heap grow by less before it collects: what connections that are gone, or stalled, have left
   * does not stay for long. For good, since V8 does not unset the flag.
   */
  collectEarlier(): void;
  /** Gives the pages back that lie within memory whose bytes nobody needs any more. */
  release(memory: Buffer): void;
  /** Gives the table's pages back by which the runtime's mutexes look for deadlocks: 1 MiB. None looks any more since this object is there. Does not throw. */
  releaseLockGraph(): void;
  /** Gives all pages that malloc holds and nobody uses back to the system. */
  giveBack(): void;
}

/** What keeps a process small. Nothing of it throws: what cannot be had now, as where no file descriptor is left to look with, is a matter of comfort. */
export class SpareMemory {
  readonly #memory: ProcessMemory;
  /** Least bytes since pages were given back. */
  #least = 0;
  /** Bytes after the last collection, or less when it has shrunk since. */
  #collected = 0;
  /** `cpuMs` at the last look. */
  #cpuMs = 0;
  /** The same of `events`. */
  #events = 0;
  /** Whether the table of locks has been looked for: to read through it takes some ms, and there is nothing to find a second time. */
  #lockGraph: 'kept' | 'released' = 'kept';
  /** Undefined: there is none, or it is under way. */
  #rehearsal: (() => Promise<void>) | undefined;

  constructor(memory: ProcessMemory) {
    this.#memory = memory;
  }

  /**
   * To be called again and again: gives back when the process has grown, and collects where it is quiet as well. V8
   * does that when it allocates, and so never while nothing moves. It collects only where somebody keeps the objects
   * alive that its code was compiled for: else the load behind it takes a third more CPU.
   */
  look(): void {
    this.#try(() => {
      const quiet = this.#isQuiet();
      const now = this.#memory.anonymous();
      this.#collected = Math.min(this.#collected, now);
      const worth = now - this.#collected >= WORTH_COLLECTING_BYTES;
      if (quiet && worth && this.#rehearsal !== undefined) void this.#collectAfter(this.#rehearsal);
      else if (now - this.#least >= WORTH_BYTES) this.#giveBack();
      else this.#least = Math.min(this.#least, now);
    });
  }

  /**
   * To be called when nothing of the start is under way any more and nobody waits for the process: what is slow the
   * first time is done now, and not beside the first requests.
   */
  settle(): void {
    this.releaseLockGraph();
    this.#try(() => this.#collect());
    // Counted from here: the next look asks whether the process has been quiet since, and not what its start took.
    this.#try(() => void this.#isQuiet());
  }

  /** To be called when the process may pause for some ms; again, it does nothing. */
  releaseLockGraph(): void {
    if (this.#lockGraph === 'released') return;
    this.#lockGraph = 'released';
    this.#memory.releaseLockGraph();
  }

  /** @param again makes an object of each kind that requests need, as the code of now makes it, and keeps them until it is called again */
  rehearsedBy(again: () => Promise<void>): void {
    this.#rehearsal = again;
  }

  #isQuiet(): boolean {
    const [cpuMs, events] = [this.#cpuMs, this.#events];
    this.#cpuMs = this.#memory.cpuMs();
    this.#events = this.#memory.events();
    return this.#cpuMs - cpuMs <= QUIET_MS && this.#events - events <= QUIET_EVENTS;
  }

  async #collectAfter(again: () => Promise<void>): Promise<void> {
    this.#rehearsal = undefined;
    try {
      await again();
      this.#try(() => this.#collect());
    } catch {
      // What it lacked may be there when the process has grown by as much again, and not a second later.
      this.#try(() => void (this.#collected = this.#memory.anonymous()));
    }
    this.#rehearsal = again;
  }

  #collect(): void {
    this.#memory.collect();
    this.#giveBack();
    this.#collected = this.#least;
  }

  #giveBack(): void {
    this.#memory.giveBack();
    this.#least = this.#memory.anonymous();
  }

  #try(step: () => void): void {
    try {
      step();
    } catch {
      // The next look may have it.
    }
  }
}

/**
 * From now on gives back what the process keeps and does not use. To be called when the process has started, and before
 * it warms up: what that touches stays.
 *
 * What the compilers and connections leave behind is freed in pieces all over malloc's heap, and of those malloc
 * returns only what lies at the end: after a sidecar's warm-up that is 18 of 44 MiB. And of the runtime's program 50
 * MiB are there when it has started, of which less than a half is touched again: they count as the process's own
 * wherever memory is told by RSS.
 *
 * With another C library or system, or without koffi, all stays as it was. Never rejects.
 * @returns undefined then
 */
export async function giveSpareMemoryBack(): Promise<SpareMemory | undefined> {
  // The library is loaded at once: that takes 20 to 30 ms, and later there is a load.
  const memory = await processMemory();
  if (memory === undefined) return undefined;
  memory.leaveFilePages();
  onForgottenBuffer((buffer) => memory.release(buffer));
  const spare = new SpareMemory(memory);
  setInterval(() => spare.look(), LOOK_MS).unref();
  // Of one that has had requests from the start on, and so has never settled.
  setTimeout(() => spare.releaseLockGraph(), SAVE_AFTER_MS).unref();
  if (process.env[env.keepCompiled] === undefined)
    setTimeout(() => memory.collectEarlier(), SAVE_AFTER_MS).unref();
  return spare;
}

/** This process; undefined where the system or the C library has no such calls, or koffi does not load. */
export async function processMemory(): Promise<ProcessMemory | undefined> {
  try {
    anonymousBytes();
    const { default: koffi } = await import('koffi');
    const library = koffi.load(null);
    const sysconf = library.func('long sysconf(int)') as (name: number) => number;
    const page = sysconf(SC_PAGESIZE);
    const trim = library.func('int malloc_trim(size_t)') as (pad: number) => number;
    const madvise = library.func('int madvise(uintptr_t, size_t, int)') as (
      start: number,
      length: number,
      advice: number,
    ) => number;
    const forgoes = forgoesDeadlocks(library);
    return {
      anonymous: anonymousBytes,
      // After MADV_DONTNEED the next access of a private mapping of a file finds the file's bytes (madvise(2)): only
      // what was changed would be lost, and there is none of it in these. Where pages are locked the call fails, and
      // nothing is lost. Nobody maps or changes them meanwhile: libraries are loaded by this thread.
      leaveFilePages() {
        for (const { start, length } of filePages(smaps())) madvise(start, length, MADV_DONTNEED);
      },
      cpuMs() {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1_000;
      },
      events: () => performance.nodeTiming.uvMetricsInfo.events,
      collect,
      collectEarlier: () => setFlagsFromString('--memory-saver-mode'),
      // A page that is shared with something else stays: only whole ones go.
      release(unused) {
        const address = Number(koffi.address(unused));
        const start = Math.ceil(address / page) * page;
        const end = Math.floor((address + unused.length) / page) * page;
        if (end > start) madvise(start, end - start, MADV_DONTNEED);
      },
      // Nobody reads it while no mutex looks. A thread that began to before, and has not come to the table since, would
      // read zeroes, which stand for the first mutex: it walks along the list behind that one, which ends, and finds
      // what it would have found.
      releaseLockGraph() {
        if (!forgoes) return;
        try {
          for (const { start, length } of ownLockGraphPages(page)) madvise(start, length, MADV_DONTNEED);
        } catch {
          // The process may not read its own memory.
        }
      },
      giveBack: () => void trim(0),
    };
  } catch {
    // A matter of comfort.
    return undefined;
  }
}

/** Has the runtime's mutexes look for deadlocks no more. @returns false: they are not known to */
function forgoesDeadlocks(library: LibraryHandle): boolean {
  try {
    (library.func(DETECT) as (mode: number) => void)(DETECT_NOTHING);
    return true;
  } catch {
    // Another build of the runtime.
    return false;
  }
}

/** Empty where the kernel does not tell of single mappings (CONFIG_PROC_PAGE_MONITOR). */
function smaps(): string {
  try {
    return readFileSync('/proc/self/smaps', 'latin1');
  } catch {
    return '';
  }
}

/**
 * V8 shows its collector to contexts that are made while it is told to. A process that is started with the flag would
 * be told for good, but V8 then takes nothing of what was compiled without it, the runtime's own modules among it: 40
 * ms of a start.
 */
function collect(): void {
  forgetBuffers();
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

const ANONYMOUS = /^RssAnon:\s+(\d+) kB$/m;

function anonymousBytes(): number {
  const [, kb] = ANONYMOUS.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  if (kb === undefined) throw new Error('/proc/self/status does not tell RssAnon');
  return Number(kb) * 1024;
}
