/** Measures what the data plane costs, beside what other people's proxies cost. How, and what came of it: docs/performance.md. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOptions, refuse, wholeNumber } from '../test/testing/command-line.ts';
import { startApp } from './app-process.ts';
import { build, type Build, checkOut, isRevision } from './build.ts';
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

const USAGE = `usage: npm run bench -- [options]
  --case NAME                 a group (${Object.keys(GROUPS).join(', ')}),
                              or pair:10 KB: those of it whose names begin so; may stand several times. Default: all
  --rounds N                  default: 3
  --compare REV               another revision of ours has its turn, too
  --copies N                  turns of each of ours, with processes of its own for each: two of the same build differ
  --alone                     without other people's proxies
  --node-args="ARGS"          for the Node of our proxies, for example --node-args="--cpu-prof --cpu-prof-dir=profiles"
  --compare-node-args="ARGS"  the same revision with these beside them has its turn, too
  --json                      ends with a line of JSON
What is measured, and how: docs/performance.md.
`;

const options = readOptions(USAGE, {
  case: { type: 'string', multiple: true, default: Object.keys(GROUPS) },
  compare: { type: 'string' },
  copies: { type: 'string', default: '1' },
  alone: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  rounds: { type: 'string', default: '3' },
  'node-args': { type: 'string', default: '' },
  'compare-node-args': { type: 'string' },
});
const rounds = wholeNumber(USAGE, 'rounds', options.rounds, 1);
const copies = wholeNumber(USAGE, 'copies', options.copies, 1);
const cases = options.case.map(caseOf);
if (options.compare !== undefined && !isRevision(options.compare))
  refuse(`--compare ${options.compare}: git knows no such revision`, USAGE);

const report = new Report((line) => process.stdout.write(`${line}\n`));
const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'));
const nodeArgs = words(options['node-args']);
const otherArgs = options['compare-node-args'];
const builds: Build[] = [];
let removeTree = (): void => {};
/** Of the group that is being measured. */
let running: Processes | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupted);
try {
  builds.push(await build('isthmus', folder, nodeArgs));
  if (options.compare !== undefined) {
    const tree = join(folder, 'revision');
    removeTree = checkOut(options.compare, tree);
    builds.push(await build(`isthmus@${options.compare}`, folder, nodeArgs, tree));
  }
  if (otherArgs !== undefined)
    builds.push(await build('isthmus, other flags', folder, [...nodeArgs, ...words(otherArgs)]));
  const all = copied(builds, copies);
  for (const { name, only } of cases) await play(name, only, all);
  if (options.json) report.note(report.json());
} finally {
  clear();
}

function clear(): void {
  removeTree();
  rmSync(folder, { recursive: true, force: true });
}

/** Without waiting: whoever waits for a child here would be told that it has failed. */
function interrupted(_signal: NodeJS.Signals, number: number): void {
  running?.tellAll();
  clear();
  process.exit(128 + number);
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

/** A group, and what the names of its cases must begin with. */
function caseOf(wanted: string): { name: string; only: string } {
  const [name = '', only = ''] = wanted.split(':');
  if (!Object.hasOwn(GROUPS, name))
    refuse(`--case ${wanted}: there are ${Object.keys(GROUPS).join(', ')}`, USAGE);
  return { name, only };
}

/** Each group has processes of its own: what one leaves behind is not another one's. */
async function play(name: string, only: string, ours: readonly Build[]): Promise<void> {
  const own = mkdtempSync(join(folder, `${name}-`));
  const processes = new Processes();
  running = processes;
  try {
    const { name: load, drive } = generator(processes, own);
    report.note(`\n${name}: load by ${load}, ${rounds} rounds`);
    await GROUPS[name]?.({
      processes,
      folder: own,
      app: await startApp(processes, own),
      isthmus: await Isthmus.create(processes, own),
      peers: options.alone ? undefined : await PeerChains.create(processes, own),
      builds: ours,
      drive,
      rounds,
      only,
      report,
    });
  } finally {
    await processes.close();
  }
}
