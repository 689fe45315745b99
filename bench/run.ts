/** Measures what the data plane costs, beside what other people's proxies cost. How, and what came of it: docs/performance.md. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startApp } from './app-process.ts';
import { build, type Build, checkOut } from './build.ts';
import { gatewayCase, http2Case, pairCases } from './cpu-cases.ts';
import { Isthmus } from './isthmus.ts';
import { latencyCases } from './latency-cases.ts';
import { generator } from './load.ts';
import { memoryCases } from './memory-cases.ts';
import { PeerChains } from './peers.ts';
import { Processes } from './processes.ts';
import { Report } from './report.ts';
import type { Stage } from './stage.ts';
import { startCase } from './start-case.ts';
import { telemetryCases } from './telemetry-cases.ts';

const GROUPS: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  pair: pairCases,
  gateway: gatewayCase,
  http2: http2Case,
  latency: latencyCases,
  memory: memoryCases,
  start: startCase,
  telemetry: telemetryCases,
};

const { values: options } = parseArgs({
  options: {
    /** A group of cases, or `pair:10 KB`: those of it whose names begin so. May stand several times. All when absent. */
    case: { type: 'string', multiple: true, default: Object.keys(GROUPS) },
    /** Another revision of ours has its turn, too. */
    compare: { type: 'string' },
    /** Each of ours has so many turns, with processes of its own for each: two of the same build differ. */
    copies: { type: 'string', default: '1' },
    /** Without other people's proxies. */
    alone: { type: 'boolean', default: false },
    /** Ends with a line of JSON. */
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    /** For the Node of our proxies, for example `--cpu-prof --cpu-prof-dir=profiles`. */
    'node-args': { type: 'string', default: '' },
    /** The same revision with these beside them has its turn, too. */
    'compare-node-args': { type: 'string' },
  },
});

const report = new Report((line) => process.stdout.write(`${line}\n`));
const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'));
const nodeArgs = words(options['node-args']);
const otherArgs = options['compare-node-args'];
const builds: Build[] = [];
let removeTree = (): void => {};
try {
  builds.push(await build('isthmus', folder, nodeArgs));
  if (options.compare !== undefined) {
    const tree = join(folder, 'revision');
    removeTree = checkOut(options.compare, tree);
    builds.push(await build(`isthmus@${options.compare}`, folder, nodeArgs, tree));
  }
  if (otherArgs !== undefined)
    builds.push(await build('isthmus, other flags', folder, [...nodeArgs, ...words(otherArgs)]));
  const all = copied(builds, Number(options.copies));
  for (const name of options.case) await play(name, all);
  if (options.json) report.note(report.json());
} finally {
  removeTree();
  rmSync(folder, { recursive: true, force: true });
}

function words(line: string): string[] {
  return line.split(' ').filter((word) => word !== '');
}

/** The builds, that many times; the first keep their names. */
function copied(once: readonly Build[], copies: number): Build[] {
  return Array.from({ length: copies }, (_, i) =>
    once.map((one) => (i === 0 ? one : { ...one, name: `${one.name} (${i + 1})` })),
  ).flat();
}

/** Each group has processes of its own: what one leaves behind is not another one's. */
async function play(wanted: string, ours: readonly Build[]): Promise<void> {
  const [name = '', only = ''] = wanted.split(':');
  const group = GROUPS[name];
  if (group === undefined)
    throw new Error(`there is no case ${name}: there are ${Object.keys(GROUPS).join(', ')}`);
  const own = mkdtempSync(join(folder, `${name}-`));
  const processes = new Processes();
  try {
    const { name: load, drive } = generator(processes, own);
    report.note(`\n${name}: load by ${load}, ${options.rounds} rounds`);
    await group({
      processes,
      folder: own,
      app: await startApp(processes, own),
      isthmus: await Isthmus.create(processes, own),
      peers: options.alone ? undefined : await PeerChains.create(processes, own),
      builds: ours,
      drive,
      rounds: Number(options.rounds),
      only,
      report,
    });
  } finally {
    await processes.close();
  }
}
