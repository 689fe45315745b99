import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Registry } from './registry.ts';

/**
 * Characters that are made before the event loop gets its turn: some tenths of a millisecond, so that a scrape of
 * thousands of series does not stall requests. Counted in what is written, since a histogram is thirty lines.
 */
const SLICE_LENGTH = 16 * 1024;

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The turn of the event loop that was given away last. */
let lastTurn: Promise<void> = Promise.resolve();

/**
 * Resolves in a turn of the event loop of its own. Hundreds of scrapes at once are made one slice behind the other, with
 * requests in between.
 */
function ownTurn(): Promise<void> {
  lastTurn = lastTurn.then(() => nextTurn());
  return lastTurn;
}

/** Prometheus' text format, in slices. A turn of the event loop makes one slice, however many readers there are. */
export async function* exposition(registry: Registry): AsyncGenerator<string> {
  await ownTurn();
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
      await ownTurn();
    }
  }
  if (slice !== '') yield slice;
}
