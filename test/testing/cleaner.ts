import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** Where what is to be taken down again goes: a test's context, or a suite's. */
export interface Cleaner {
  after(work: () => Promise<void>): void;
}

/** One for the `describe` that it is made in: behind its tests, what came last goes first. */
export function suiteCleaner(): Cleaner {
  const works: (() => Promise<void>)[] = [];
  after(async () => {
    for (const work of works.reverse()) await work();
  });
  return { after: (work) => void works.push(work) };
}

/** A folder that is gone afterwards. */
export async function temporaryFolder(cleaner: Cleaner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
  // A process that ends may still be writing into it.
  cleaner.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
