import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { filePages } from './program-pages.ts';
import { onForgottenBuffer } from './transport/buffers.ts';

/** Bytes of growth that are worth giving pages back for: that takes half a ms, and a page that is touched again costs a fault. */
const WORTH_BYTES = 1024 * 1024;
/** Bytes that the runtime's heap must have grown by to be worth a collection: the next one is far away then. */
const WORTH_COLLECTING_BYTES = 3 * 1024 * 1024;
/** Of the time between two looks, the share that a process may have worked that nobody waits for. A collection is a pause, which then meets next to nobody. */
const QUIET_SHARE = 0.02;
/** ms between looks at the size of the process. */
const LOOK_MS = 1_000;

/** linux/mman.h: the process does not need the pages now. */
const MADV_DONTNEED = 4;
/** unistd.h of glibc. */
const SC_PAGESIZE = 30;

/** The process as its memory is seen. */
export interface ProcessMemory {
  /** Bytes present that no file stands behind. */
  anonymous(): number;
  /** Of them the bytes of the runtime's heap, garbage included. */
  heap(): number;
  /** The share of the time since it was asked last that the process has worked: 0 to 1. */
  worked(): number;
  /** Lets pages of programs and libraries go that are as in their files: who touches one again finds it in the page cache. */
  leaveFilePages(): void;
  /** Collects garbage: some 20 ms. */
  collect(): void;
  /** The same, and keeps nothing that can be made anew: some 40 ms, and whoever comes next pays for it. */
  save(): void;
  /** Gives the pages back that lie within memory whose bytes nobody needs any more. */
  release(memory: Buffer): void;
  /** Gives all pages that malloc holds and nobody uses back to the system. */
  giveBack(): void;
}

/** What keeps a process small. Nothing of it throws: what cannot be had now, as where no file descriptor is left to look with, is a matter of comfort. */
export class SpareMemory {
  readonly #memory: ProcessMemory;
  /** Least bytes since pages were given back. */
  #least = 0;
  /** Bytes of the heap after the last collection of ours, or fewer that were seen since. */
  #leastHeap = Number.POSITIVE_INFINITY;

  constructor(memory: ProcessMemory) {
    this.#memory = memory;
  }

  /** To be called again and again: gives back when the process has grown, and collects when its heap has and nobody waits: what a burst leaves behind would stay until the next one. */
  look(): void {
    this.#try(() => {
      const heap = this.#memory.heap();
      this.#leastHeap = Math.min(this.#leastHeap, heap);
      if (this.#memory.worked() <= QUIET_SHARE && heap - this.#leastHeap >= WORTH_COLLECTING_BYTES)
        return this.#made(() => this.#memory.collect());
      const now = this.#memory.anonymous();
      if (now - this.#least >= WORTH_BYTES) this.#giveBack();
      else this.#least = Math.min(this.#least, now);
    });
  }

  /** To be called when nothing of the start is under way any more and nobody waits for the process. */
  settle(): void {
    this.#try(() => this.#made(() => this.#memory.save()));
  }

  #made(smaller: () => void): void {
    smaller();
    this.#leastHeap = this.#memory.heap();
    this.#giveBack();
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
 * From now on gives back what the process keeps and does not use. To be called when the process has started, and before it warms up: what that touches stays.
 *
 * What the compilers and connections leave behind is freed in pieces all over malloc's heap, and of those malloc returns only what lies at the end: after a sidecar's warm-up that is 18 of 44 MiB.
 * And of the runtime's program 50 MiB are there when it has started, of which less than a half is touched again: they count as the process's own wherever memory is told by RSS.
 *
 * With another C library or system, or without koffi, all stays as it was. Never rejects. @returns undefined then
 */
export async function giveSpareMemoryBack(): Promise<SpareMemory | undefined> {
  // The library is loaded at once: that takes 20 to 30 ms, and later there is a load.
  const memory = await processMemory();
  if (memory === undefined) return undefined;
  memory.leaveFilePages();
  onForgottenBuffer((buffer) => memory.release(buffer));
  const spare = new SpareMemory(memory);
  setInterval(() => spare.look(), LOOK_MS).unref();
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
    let workedUntil = performance.eventLoopUtilization();
    return {
      anonymous: anonymousBytes,
      heap: () => getHeapStatistics().total_heap_size,
      worked() {
        const now = performance.eventLoopUtilization();
        const { utilization } = performance.eventLoopUtilization(now, workedUntil);
        workedUntil = now;
        return utilization;
      },
      // After MADV_DONTNEED the next access of a private mapping of a file finds the file's bytes (madvise(2)): only what was changed would be lost, and there is none of it in these. Where pages
      // are locked the call fails, and nothing is lost. Nobody maps or changes them meanwhile: libraries are loaded by this thread.
      leaveFilePages() {
        for (const { start, length } of filePages(smaps())) madvise(start, length, MADV_DONTNEED);
      },
      collect: () => collect(GARBAGE),
      save: () => collect(SAVING),
      // A page that is shared with something else stays: only whole ones go.
      release(unused) {
        const address = Number(koffi.address(unused));
        const start = Math.ceil(address / page) * page;
        const end = Math.floor((address + unused.length) / page) * page;
        if (end > start) madvise(start, end - start, MADV_DONTNEED);
      },
      giveBack: () => void trim(0),
    };
  } catch {
    // A matter of comfort.
    return undefined;
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
 * How V8's collector is called. To save memory it moves what is left together and gives pages back, and what it had compiled goes, too: a load that comes behind it takes a third more CPU
 * until that is made anew.
 */
const GARBAGE = { type: 'major', execution: 'sync', flavor: 'regular' } as const;
const SAVING = { type: 'major', execution: 'sync', flavor: 'last-resort' } as const;

/**
 * V8 shows its collector to contexts that are made while it is told to. A process that is started with the flag would be told for good, but V8 then takes nothing of what was compiled without it, the
 * runtime's own modules among it: 40 ms of a start.
 */
function collect(options: typeof GARBAGE | typeof SAVING): void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  gc(options);
}

const ANONYMOUS = /^RssAnon:\s+(\d+) kB$/m;

function anonymousBytes(): number {
  const [, kb] = ANONYMOUS.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  if (kb === undefined) throw new Error('/proc/self/status does not tell RssAnon');
  return Number(kb) * 1024;
}
