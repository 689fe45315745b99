import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** What the runtime calls its threads that compile. */
const WORKER = 'node-V8Worker';
/**
 * Nice value: two fifths of the share of a thread that serves, where both want the same processor. On one that nobody
 * else wants less would be better; beside a busy neighbour the p99 of the first five seconds doubles with 10 and
 * triples with 15, since what was begun is not finished, and collections wait for it. With SCHED_IDLE they wait for
 * 4 s, and a container without capabilities may not leave that again: nothing could follow what the neighbours do.
 */
const GIVES_WAY = 4;
const TASKS = '/proc/self/task';

/**
 * Lets the runtime's compiling threads give way to the one that serves. Under a new load they have seconds of work; on
 * one processor, which is what a sidecar often has, four of them take four fifths of it, and requests wait for tens of
 * ms. None of them collects garbage: that is done on the serving thread (`--single-threaded-gc`). Elsewhere than on
 * Linux, and where it is forbidden, all stays as it was.
 * @returns how many threads were told
 */
export function backgroundThreadsGiveWay(): number {
  let told = 0;
  try {
    for (const task of readdirSync(TASKS)) {
      if (readFileSync(`${TASKS}/${task}/comm`, 'latin1').trim() !== WORKER) continue;
      setPriority(Number(task), GIVES_WAY);
      told++;
    }
  } catch {
    // No /proc, or no leave: a matter of comfort.
  }
  return told;
}
