import { readFileSync } from 'node:fs';

/** File descriptors that the kernel lets this process have open; Infinity where it does not say. */
export function descriptorLimit(): number {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return limit === undefined ? Infinity : Number(limit);
  } catch {
    // Not Linux, or no descriptor is left to ask with.
    return Infinity;
  }
}
