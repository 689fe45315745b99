/** Bytes of growth that are worth giving pages back for: that takes some ms, and a page that is touched again costs a fault. */
const WORTH_BYTES = 8 * 1024 * 1024;
/** ms between looks at the size of the process. */
const LOOK_MS = 2_000;

/** The process as its memory is seen. */
export interface ProcessMemory {
  /** Resident bytes. */
  resident(): number;
  /** Gives all pages that malloc holds and nobody uses back to the system. */
  giveBack(): void;
}

/**
 * From now on gives back what malloc keeps, whenever the process has grown. What the compilers and connections leave behind is freed in pieces all over its heap, and
 * of those malloc returns only what lies at the end: after a sidecar's warm-up that is 18 of 44 MiB. With another C library, or without koffi, all stays as it was. Never rejects.
 */
export async function giveSpareMemoryBack(): Promise<void> {
  // The library is loaded at once: that takes 20 to 30 ms, and later there is a load.
  const memory = await processMemory();
  if (memory !== undefined) setInterval(spareMemoryLook(memory), LOOK_MS).unref();
}

/** One look, to be called again and again. */
export function spareMemoryLook(memory: ProcessMemory): () => void {
  /** Least bytes since pages were given back. */
  let least = 0;
  return () => {
    const resident = memory.resident();
    if (resident - least < WORTH_BYTES) {
      least = Math.min(least, resident);
      return;
    }
    memory.giveBack();
    least = memory.resident();
  };
}

/** This process; undefined where the C library has no such call, or koffi does not load. */
export async function processMemory(): Promise<ProcessMemory | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const trim = koffi.load(null).func('int malloc_trim(size_t)') as (pad: number) => number;
    return {
      resident: () => process.memoryUsage.rss(),
      giveBack: () => {
        trim(0);
      },
    };
  } catch {
    // A matter of comfort.
    return undefined;
  }
}
