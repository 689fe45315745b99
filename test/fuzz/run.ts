/**
 * Fuzzes what reads bytes of strangers, guided by the code that inputs reach.
 * All targets one after the other, unless asked otherwise (`USAGE`). An input that breaks an invariant, or hangs, is
 * shortened and kept in `corpus/`, where `npm test` plays it again; with `--keep` also inputs that reach code which the corpus does not.
 */
import { Worker } from 'node:worker_threads';
import { readOptions, refuse, wholeNumber } from '../testing/command-line.ts';
import { keep } from './corpus.ts';
import { MAX_INPUT } from './target.ts';
import { targets } from './targets/index.ts';
import type { FuzzOrder, FuzzReport } from './worker.ts';

/** ms without a next input: what takes longer hangs, for inputs of a few kilobytes. */
const HANG_MS = 20_000;
const LOOK_MS = 1_000;

const names = targets.map(({ name }) => name).join(', ');
const USAGE = `usage: npm run fuzz -- [options]
  --target NAME  one of ${names}. Default: all of them, one after the other
  --seconds N    for each target; default: 60
  --seed N       of the inputs' variations; default: another one each time
  --keep         keeps also inputs that reach code which the corpus does not
`;

const values = readOptions(USAGE, {
  target: { type: 'string' },
  seconds: { type: 'string', default: '60' },
  seed: { type: 'string' },
  keep: { type: 'boolean', default: false },
});
const seconds = wholeNumber(USAGE, 'seconds', values.seconds, 1);
const asked = values.seed === undefined ? undefined : wholeNumber(USAGE, 'seed', values.seed, 0);
const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target);
if (chosen.length === 0) refuse(`--target ${values.target}: there are ${names}`, USAGE);
for (const { name } of chosen) {
  const seed = asked ?? Date.now() % 1_000_000;
  const order = { target: name, seed, seconds, keeps: values.keep };
  const { failure, inputs, blocks, paths } = await runTarget(order);
  process.stdout.write(
    `${name}: ${inputs} inputs from seed ${seed}, ${blocks} blocks of code, ${paths} new paths\n`,
  );
  if (failure === undefined) continue;
  process.stdout.write(`${name}: FAILED, kept as ${failure.path}\n${failure.error}\n`);
  process.exitCode = 1;
}

function runTarget(order: Omit<FuzzOrder, 'shared'>): Promise<FuzzReport> {
  const shared = new SharedArrayBuffer(8 + MAX_INPUT);
  const counters = new Int32Array(shared, 0, 2);
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: { ...order, shared } });
  return new Promise((resolve, reject) => {
    let before = 0;
    let movedAt = performance.now();
    const watch = setInterval(() => {
      const inputs = Atomics.load(counters, 0);
      if (inputs !== before) movedAt = performance.now();
      else if (performance.now() - movedAt > HANG_MS) {
        const path = keep(order.target, 'crash', Buffer.from(shared.slice(8, 8 + Atomics.load(counters, 1))));
        void worker.terminate();
        resolve({ inputs, blocks: 0, paths: 0, failure: { path, error: `it hangs: ${HANG_MS / 1_000} s` } });
      }
      before = inputs;
    }, LOOK_MS);
    worker.once('message', (report: FuzzReport) => resolve(report));
    worker.once('error', reject);
    worker.once('exit', () => clearInterval(watch));
  });
}
