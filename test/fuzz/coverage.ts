import { Session, type Profiler } from 'node:inspector';
import type { Guide } from './fuzzer.ts';

/** What is looked at: the data plane, not its tests and not what it stands on. */
const CODE = /\/proxy\/(?!testing\/)/;

/** Blocks of the data plane's code that have run in this thread, by V8's own count. */
export class Coverage implements Guide {
  readonly #session = new Session();
  readonly #known = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Blocks that have run since the last call and are not known yet. */
  fresh(): ReadonlySet<string> {
    const found = new Set<string>();
    // The session is of this thread: the callback is called within `post`.
    this.#session.post('Profiler.takePreciseCoverage', (_error, taken) => {
      for (const script of taken?.result ?? []) if (CODE.test(script.url)) this.#collect(script, found);
    });
    return found;
  }

  /** From now on they are nothing new. */
  know(blocks: ReadonlySet<string>): void {
    for (const block of blocks) this.#known.add(block);
  }

  get size(): number {
    return this.#known.size;
  }

  close(): void {
    this.#session.disconnect();
  }

  #collect({ scriptId, functions }: Profiler.ScriptCoverage, found: Set<string>): void {
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) {
        const block = `${scriptId}:${startOffset}:${endOffset}`;
        if (count > 0 && !this.#known.has(block)) found.add(block);
      }
    }
  }
}
