/** The thread that fuzzes. What it is doing stands in shared memory, for who notices that it hangs. */
import { parentPort, workerData } from 'node:worker_threads';
import { keep, readCorpus } from './corpus.ts';
import { Coverage } from './coverage.ts';
import { fuzz, shorten } from './fuzzer.ts';
import { targets } from './targets/index.ts';

/** What the thread is given. */
export interface FuzzOrder {
  readonly target: string;
  readonly seed: number;
  readonly seconds: number;
  /** Inputs that reach new code go into the corpus. */
  readonly keeps: boolean;
  /** Inputs so far, the length of the one under way; then its bytes. */
  readonly shared: SharedArrayBuffer;
}

/** What the thread says at the end. */
export interface FuzzReport {
  readonly inputs: number;
  readonly blocks: number;
  readonly paths: number;
  /** Of an input that failed: where it is kept, and what was thrown. */
  readonly failure: { readonly path: string; readonly error: string } | undefined;
}

const order = workerData as FuzzOrder;
const target = targets.find(({ name }) => name === order.target);
if (target === undefined) throw new Error(`there is no target ${order.target}`);
const counters = new Int32Array(order.shared, 0, 2);
const current = new Uint8Array(order.shared, counters.byteLength);
const guide = new Coverage();
const end = performance.now() + order.seconds * 1_000;
const { inputs, paths, failure } = fuzz({
  target,
  seed: order.seed,
  corpus: readCorpus(target.name).map(({ bytes }) => bytes),
  guide,
  goesOn: () => performance.now() < end,
  onInput: (bytes) => {
    current.set(bytes);
    Atomics.store(counters, 1, bytes.length);
    Atomics.add(counters, 0, 1);
  },
});
if (order.keeps) for (const bytes of paths) keep(target.name, 'path', bytes);
const report: FuzzReport = {
  inputs,
  blocks: guide.size,
  paths: paths.length,
  failure:
    failure === undefined
      ? undefined
      : {
          path: keep(target.name, 'crash', shorten(target, failure)),
          error: failure.error.stack ?? failure.error.message,
        },
};
guide.close();
// The port of a thread, not a window: there is no origin.
parentPort?.postMessage(report, []);
