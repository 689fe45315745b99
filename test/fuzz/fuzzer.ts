import { Random, mutate } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

/** An input that broke an invariant. */
export interface Failure {
  readonly bytes: Buffer;
  readonly error: Error;
}

/** Tells which inputs are worth to go on from. */
export interface Guide {
  /** Blocks of code that have run since the last call and are not known yet. */
  fresh(): ReadonlySet<string>;
  know(blocks: ReadonlySet<string>): void;
}

export interface FuzzRun {
  readonly target: FuzzTarget;
  readonly seed: number;
  /** Inputs to begin from, beside the target's seeds. */
  readonly corpus: readonly Buffer[];
  /** Without one, every input begins at the corpus. */
  readonly guide?: Guide;
  /** Asked before each input. */
  goesOn(inputs: number): boolean;
  /** Told before each input: where the run is when it hangs. */
  onInput?(bytes: Buffer): void;
}

export interface FuzzResult {
  readonly inputs: number;
  /** Inputs that reached code which no earlier one did. */
  readonly paths: readonly Buffer[];
  readonly failure: Failure | undefined;
}

/** Inputs between two looks at the guide, which costs more than an input. */
const BATCH = 32;

/** Feeds a target with the corpus and then with mutations of it, until one fails or it is enough. */
export function fuzz(run: FuzzRun): FuzzResult {
  const { target, guide } = run;
  const random = new Random(run.seed);
  const pool = [...target.seeds, ...run.corpus];
  const paths: Buffer[] = [];
  let inputs = 0;
  let failure: Failure | undefined;
  const passes = (bytes: Buffer): boolean => {
    run.onInput?.(bytes);
    inputs++;
    failure = failureOf(target, bytes);
    return failure === undefined;
  };
  if (!pool.every(passes)) return { inputs, paths, failure };
  if (guide !== undefined) guide.know(guide.fresh());
  while (run.goesOn(inputs)) {
    const batch = Array.from({ length: BATCH }, () =>
      mutate(choose(pool, random), choose(pool, random), random, target),
    );
    if (!batch.every(passes)) return { inputs, paths, failure };
    const found = guide === undefined ? [] : pathfinders(target, guide, batch);
    pool.push(...found);
    paths.push(...found);
  }
  return { inputs, paths, failure };
}

/** Those of a batch that reach code which was not known. */
function pathfinders(target: FuzzTarget, guide: Guide, batch: readonly Buffer[]): Buffer[] {
  const fresh = guide.fresh();
  if (fresh.size === 0) return [];
  const found = batch.filter((bytes) => {
    target.fuzz(Buffer.from(bytes));
    const own = guide.fresh();
    guide.know(own);
    return own.size > 0;
  });
  guide.know(fresh);
  return found;
}

/** What came last is looked at more often. */
function choose(pool: readonly Buffer[], random: Random): Buffer {
  const late = random.below(2) === 0 ? Math.max(0, pool.length - BATCH) : 0;
  return pool[late + random.below(pool.length - late)] ?? Buffer.alloc(0);
}

function failureOf(target: FuzzTarget, bytes: Buffer): Failure | undefined {
  try {
    target.fuzz(Buffer.from(bytes));
    return undefined;
  } catch (error) {
    return { bytes, error: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** A shorter input that fails too: pieces are left out as long as that goes. */
export function shorten(target: FuzzTarget, { bytes }: Failure): Buffer {
  let best = bytes;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length;) {
      const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
      if (failureOf(target, shorter) === undefined) at += size;
      else best = shorter;
    }
  }
  return best;
}
