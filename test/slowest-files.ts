/** A reporter for Node's test runner: which files took longest, at the end. */
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

const SHOWN = 10;

export default async function* slowestFiles(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const files: { name: string; seconds: number }[] = [];
  for await (const { type, data } of events) {
    // Each file has a summary, and so has the whole, which names none.
    if (type !== 'test:summary' || data.file === undefined) continue;
    files.push({ name: relative(process.cwd(), data.file), seconds: data.duration_ms / 1_000 });
  }
  files.sort((a, b) => b.seconds - a.seconds);
  yield `the slowest of ${files.length} files, in seconds:\n`;
  for (const { name, seconds } of files.slice(0, SHOWN)) yield `${seconds.toFixed(1).padStart(6)} ${name}\n`;
}
