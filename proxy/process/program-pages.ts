/** A range of this process's addresses. */
export interface Mapping {
  /** Address of its first byte: below 2^47, exact in a number. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
}

/** `address-address permissions offset device inode path`, as /proc/PID/maps has it (proc_pid_maps(5)). */
const HEADER = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ \S+ (\d+)/;
/** Read-only, and private: programs and libraries, never what is written or shared. */
const READ_ONLY = /^r-[-x]p$/;
/** kB of a mapping that are present, and of what is nowhere else: changed since it was mapped, in memory or swapped out; locked, so that it may not leave. */
const AMOUNT = /^(Rss|Anonymous|Private_Dirty|Shared_Dirty|Swap|Locked): +(\d+) kB$/;
/** A kernel that does not say of these that there are none may have some. */
const TOLD: ReadonlySet<string> = new Set(['Anonymous', 'Private_Dirty', 'Shared_Dirty']);

/**
 * Of /proc/self/smaps the mappings whose present pages are, every one, bytes of a file: the code and the constants of
 * the program and of its libraries. A page of them may leave the process at any time: it stays in the page cache, and
 * whoever touches it finds the same bytes again. Left out is what was changed after it was mapped (relocated tables,
 * which are read-only from then on, and breakpoints), as its changes would be lost, and what has no file.
 */
export function filePages(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  let mapping: Mapping | undefined;
  let present = 0;
  let told = 0;
  const done = (): void => {
    if (mapping !== undefined && present > 0 && told === TOLD.size) found.push(mapping);
    mapping = undefined;
    present = 0;
    told = 0;
  };
  for (const line of smaps.split('\n')) {
    const [, from, to, permissions = '', inode] = HEADER.exec(line) ?? [];
    if (from !== undefined && to !== undefined) {
      done();
      const start = Number.parseInt(from, 16);
      if (READ_ONLY.test(permissions) && inode !== '0')
        mapping = { start, length: Number.parseInt(to, 16) - start };
      continue;
    }
    if (mapping === undefined) continue;
    const [, of, amount] = AMOUNT.exec(line) ?? [];
    if (of === 'Rss') present = Number(amount);
    else if (of !== undefined && amount !== '0') mapping = undefined;
    else if (of !== undefined && TOLD.has(of)) told++;
  }
  done();
  return found;
}
