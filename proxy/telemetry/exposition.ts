import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Registry } from './registry.ts';

/**
 * Characters that are made before the event loop gets its turn: some tenths of a millisecond, so that a scrape of thousands of series does not stall requests. Counted
 * in what is written, since a histogram is thirty lines.
 */
const SLICE_LENGTH = 16 * 1024;

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Prometheus' text format, in slices with turns of the event loop between. */
export async function* exposition(registry: Registry): AsyncGenerator<string> {
  registry.collect();
  let slice = '';
  for (const family of registry.families) {
    if (family.size === 0) continue;
    slice += `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
    for (const cell of family.cells()) {
      slice += cell.text(family.name);
      if (slice.length < SLICE_LENGTH) continue;
      yield slice;
      slice = '';
      await nextTurn();
    }
  }
  if (slice !== '') yield slice;
}
