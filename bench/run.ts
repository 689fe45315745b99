/** Prints what a request costs through two proxies, beside what it costs through other people's. How it is measured: docs/performance.md. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freshAddress } from '../proxy/testing/mesh/test-mesh.ts';
import { startApp } from './app-process.ts';
import { isthmusPair } from './isthmus-pair.ts';
import { generator, type Drive } from './load.ts';
import { cpuMicros, median, pssKib } from './measure.ts';
import type { Pair } from './pair.ts';
import { peerPair, peers } from './peer-pairs.ts';
import { Processes } from './processes.ts';

interface Workload {
  name: string;
  bytes: number;
  connections: number;
}

const WORKLOADS: readonly Workload[] = [
  { name: '100 B, 32 connections', bytes: 100, connections: 32 },
  { name: '10 KB, 32 connections', bytes: 10_240, connections: 32 },
  { name: '1 MB, 4 connections', bytes: 1_048_576, connections: 4 },
];
/** Rounds in which every candidate has its turn: what else happens on the machine then meets all of them. */
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const RUN_MS = 1_000;
/** The compilers of a young process work beside it, and should have ended. */
const WARM_UP_MS = 3_000;

interface Sample {
  cpu: number;
  perSecond: number;
}

const out = (line: string): void => void process.stdout.write(`${line}\n`);

const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'));
const processes = new Processes();
try {
  await main();
} finally {
  await processes.close();
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const appHost = freshAddress();
  const port = await startApp(processes, folder, appHost);
  const pairs = await startPairs(appHost, port);
  const { name, drive } = generator(folder);
  out(`load: ${name}; ${ROUNDS} interleaved rounds of ${RUN_MS / 1_000} s; CPU of both proxies together`);
  for (const pair of pairs) await once(drive, pair, WORKLOADS[0], WARM_UP_MS);
  const chosen = WORKLOADS.filter(({ name }) => name.startsWith(process.env['BENCH_WORKLOAD'] ?? ''));
  for (const workload of chosen) await compare(drive, pairs, workload);
  out(
    `memory after that (PSS of both): ${pairs.map((pair) => `${pair.name} ${memory(pair)} MiB`).join(', ')}`,
  );
}

async function startPairs(appHost: string, appPort: number): Promise<Pair[]> {
  const options = (of: string) => {
    const own = join(folder, of);
    mkdirSync(own);
    return { folder: own, appHost, appPort };
  };
  const nodeArgs = process.env['BENCH_NODE_ARGS']?.split(' ') ?? [];
  const pairs = [await isthmusPair(processes, options('isthmus'), appHost, nodeArgs)];
  for (const peer of peers) {
    // `npm run bench -- alone`: without peers, to look at our own figures or a profile.
    if (process.argv.includes('alone')) break;
    const pair = await peerPair(processes, peer, options(peer.name));
    if (pair === undefined) out(`${peer.name} is not installed: left out`);
    else pairs.push(pair);
  }
  return pairs;
}

async function compare(drive: Drive, pairs: readonly Pair[], workload: Workload): Promise<void> {
  const samples = new Map<Pair, Sample[]>(pairs.map((pair) => [pair, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const pair of pairs) samples.get(pair)?.push(await once(drive, pair, workload, RUN_MS));
  }
  const middle = (pair: Pair, of: keyof Sample): number =>
    median((samples.get(pair) ?? []).map((s) => s[of]));
  out(
    `\n${workload.name.padEnd(24)}${'µs/request'.padStart(12)}${'against isthmus'.padStart(18)}${'requests/s'.padStart(12)}`,
  );
  const ours = pairs[0] === undefined ? Number.NaN : middle(pairs[0], 'cpu');
  for (const pair of pairs) {
    const cpu = middle(pair, 'cpu');
    const columns = [cpu.toFixed(1).padStart(12), `${(cpu / ours).toFixed(2)} x`.padStart(18)];
    out(`  ${pair.name.padEnd(22)}${columns.join('')}${middle(pair, 'perSecond').toFixed(0).padStart(12)}`);
  }
}

async function once(
  drive: Drive,
  pair: Pair,
  workload: Workload | undefined,
  durationMs: number,
): Promise<Sample> {
  const { bytes = 0, connections = 1 } = workload ?? {};
  const before = used(pair);
  const target = pair.target(bytes);
  const begun = performance.now();
  const { requests, failures } = await drive({
    host: pair.host,
    port: pair.port,
    target,
    connections,
    durationMs,
  });
  const seconds = (performance.now() - begun) / 1_000;
  if (failures > 0 || requests === 0)
    throw new Error(`${pair.name}: ${failures} of ${requests} requests failed`);
  return { cpu: (used(pair) - before) / requests, perSecond: requests / seconds };
}

function used(pair: Pair): number {
  return pair.pids.reduce((sum, pid) => sum + cpuMicros(pid), 0);
}

function memory(pair: Pair): string {
  return (pair.pids.reduce((sum, pid) => sum + pssKib(pid), 0) / 1_024).toFixed(0);
}
