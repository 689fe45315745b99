import type { Look } from '../processes/part.ts';

/** What was held at a time, s since the begin. */
export interface Sample {
  readonly at: number;
  readonly look: Look;
}

const MIB = 1024 * 1024;
/** Growth that is none: a heap after a collection breathes by this much, and so do pages that the allocator keeps. */
const HEAP_NOISE = 2 * MIB;
const RSS_NOISE = 12 * MIB;
/** Descriptors that pools may hold more than before: a few connections to each peer, in both directions. */
const DESCRIPTOR_NOISE = 12;

/** What has grown where nothing should: in words, empty when all is well. `before` and `after`: at rest. `during`: under load, in its order. */
export function leaks(before: Look, during: readonly Sample[], after: Look): string[] {
  const found: string[] = [];
  const heap = growth(during, ({ heap, external }) => heap + external);
  if (heap > HEAP_NOISE)
    found.push(`heap and buffers under load: +${mib(heap)} MiB from the second third to the last`);
  const rss = growth(during, ({ rss }) => rss);
  if (rss > RSS_NOISE) found.push(`memory under load: +${mib(rss)} MiB from the second third to the last`);
  const rest = after.heap + after.external - before.heap - before.external;
  if (rest > HEAP_NOISE) found.push(`heap and buffers at rest: +${mib(rest)} MiB`);
  const descriptors = after.descriptors - before.descriptors;
  if (descriptors > DESCRIPTOR_NOISE) found.push(`descriptors at rest: +${descriptors}`);
  for (const [name, count] of Object.entries(after.handles)) {
    const more = count - (before.handles[name] ?? 0);
    if (more > DESCRIPTOR_NOISE) found.push(`${name} at rest: +${more}`);
  }
  return found;
}

/** Between the medians of the second and the last third: the first is start and warm-up. */
function growth(samples: readonly Sample[], of: (look: Look) => number): number {
  const third = Math.floor(samples.length / 3);
  const median = (part: readonly Sample[]): number => {
    const values = part.map(({ look }) => of(look)).sort((a, b) => a - b);
    return values[Math.floor(values.length / 2)] ?? 0;
  };
  return third === 0 ? 0 : median(samples.slice(-third)) - median(samples.slice(third, 2 * third));
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
