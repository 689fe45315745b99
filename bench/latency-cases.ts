import type { Chain } from './chain.ts';
import { http1, warmUp } from './cpu-cases.ts';
import { ask } from './load.ts';
import type { Latencies, RateLoad } from './load-rate.ts';
import { median } from './measure.ts';
import { peers } from './peers.ts';
import { learnt, startChains, type Stage } from './stage.ts';

const RATE = 3_000;
const CONNECTIONS = 32;
/** ms of one candidate's turn, of which the first do not count. */
const TURN_MS = 2_000;
const SKIP_MS = 300;
/**
 * Turns in a round. Fifty requests of a turn are its p99: two threads of the system's that hold the processor up for
 * some ms make one, and of many turns some have none.
 */
const TURNS = 3;
/** ms of the first load of a sidecar, in which it may be slower. */
const YOUNG_MS = 5_000;
/** Young pairs of a build: each takes some seven seconds. */
const MOST_YOUNG = 5;

/** What a pair adds to the 99th percentile at a fixed rate, and how much slower a young pair is than a warm one. */
export async function latencyCases(stage: Stage): Promise<void> {
  const { isthmus, app, builds, peers: others } = stage;
  const young = await youngP99s(stage);
  const started = await startChains(
    stage,
    (build) => isthmus.pair(build, app),
    peers.filter(({ name }) => name === 'nginx').map((peer) => [peer.name, others?.pair(peer, app)]),
  );
  // As those of all other cases: the compilers are at work until about the tenth second of a load.
  const chains = await warmUp(stage, started, http1(stage, 100, 32));
  const direct: Chain = {
    name: 'direct',
    host: app.takeHost(),
    port: app.port,
    target: (n) => `/${n}`,
    pids: [],
  };
  const samples = new Map<Chain, number[]>([direct, ...chains].map((chain) => [chain, []]));
  for (let turn = 0; turn < TURNS * stage.rounds; turn++) {
    for (const [chain, found] of samples) found.push((await latency(stage, chain, TURN_MS, SKIP_MS)).p99);
  }
  const p99 = new Map([...samples].map(([chain, found]) => [chain.name, median(found)]));
  const added = (name: string): number => Math.max(1, (p99.get(name) ?? 0) - (p99.get(direct.name) ?? 0));
  stage.report.add(`p99 added at ${RATE}/s`, {
    unit: 'µs',
    values: new Map(chains.map(({ name }) => [name, added(name)])),
    goals: [{ key: 'p99-added-3000', against: ['nginx'], most: 1 }],
  });
  stage.report.add('p99, first 5 s', { unit: 'µs', values: young, goals: [] });
  const toWarm = builds.map(({ name }): [string, number] => [
    name,
    (young.get(name) ?? 0) / (p99.get(name) ?? 0),
  ]);
  stage.report.add('  to warm', {
    unit: 'x',
    values: new Map(toWarm),
    goals: [{ key: 'p99-first-5s', against: [], most: 2 }],
  });
}

/** 99th percentiles of the first load of new pairs, by build: each has as many pairs as there are rounds. */
async function youngP99s(stage: Stage): Promise<Map<string, number>> {
  const { builds, isthmus, app, processes } = stage;
  const samples = new Map(builds.map(({ name }): [string, number[]] => [name, []]));
  // One pair more than counts: a control plane and an app have answered others before a pod starts.
  for (let round = 0; round <= Math.min(stage.rounds, MOST_YOUNG); round++) {
    for (const build of builds) {
      const pair = await isthmus.pair(build, app);
      await learnt();
      const { p99 } = await latency(stage, pair, YOUNG_MS, 0);
      if (round > 0) samples.get(build.name)?.push(p99);
      await processes.end(pair.pids);
    }
  }
  return new Map([...samples].map(([name, found]) => [name, median(found)]));
}

/** Latencies at a fixed rate. @param durationMs of which the first `skipMs` do not count */
export function latency(stage: Stage, chain: Chain, durationMs: number, skipMs: number): Promise<Latencies> {
  const { host, port } = chain;
  const load = { host, port, target: chain.target(100), connections: CONNECTIONS, rate: RATE };
  return ask<Latencies>(stage.processes, 'load-rate.ts', { ...load, durationMs, skipMs } satisfies RateLoad);
}
