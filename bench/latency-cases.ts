import type { Chain } from './chain.ts';
import { http1, warmUp } from './cpu-cases.ts';
import { ask } from './load.ts';
import type { Latencies, RateLoad } from './load-rate.ts';
import { median } from './measure.ts';
import { peers } from './peers.ts';
import { startChains, type Stage } from './stage.ts';

const RATE = 3_000;
const CONNECTIONS = 32;
/** ms of one candidate's turn, of which the first do not count. */
const TURN_MS = 2_000;
const SKIP_MS = 300;
/** ms of the first load of a sidecar, in which it may be slower. */
const YOUNG_MS = 5_000;
/** ms from readiness to the first request: so long at least others need to learn of a new endpoint. */
export const LEARN_MS = 1_000;

/** What a pair adds to the 99th percentile at a fixed rate, and how much slower a young pair is than a warm one. */
export async function latencyCases(stage: Stage): Promise<void> {
  const { isthmus, app, peers: others } = stage;
  const [build] = stage.builds;
  if (build === undefined) return;
  const young = await isthmus.pair(build, app);
  await new Promise((resolve) => setTimeout(resolve, LEARN_MS));
  const first = await latency(stage, young, YOUNG_MS, 0);
  const started = await startChains(
    stage,
    (other) => (other === build ? Promise.resolve(young) : isthmus.pair(other, app)),
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
  for (let round = 0; round < stage.rounds; round++) {
    for (const [chain, found] of samples) found.push((await latency(stage, chain, TURN_MS, SKIP_MS)).p99);
  }
  const p99 = (chain: Chain): number => median(samples.get(chain) ?? []);
  const added = chains.map((chain): [string, number] => [chain.name, Math.max(1, p99(chain) - p99(direct))]);
  stage.report.add(`p99 added at ${RATE}/s`, {
    unit: 'µs',
    values: new Map(added),
    goals: [{ key: 'p99-added-3000', against: ['nginx'], most: 1 }],
  });
  stage.report.add('p99, first 5 s to warm', {
    unit: 'x',
    values: new Map([['isthmus', first.p99 / p99(young)]]),
    goals: [{ key: 'p99-first-5s', against: [], most: 2 }],
  });
}

/** Latencies at a fixed rate. @param durationMs of which the first `skipMs` do not count */
export function latency(stage: Stage, chain: Chain, durationMs: number, skipMs: number): Promise<Latencies> {
  const { host, port } = chain;
  const load = { host, port, target: chain.target(100), connections: CONNECTIONS, rate: RATE };
  return ask<Latencies>(stage.processes, 'load-rate.ts', { ...load, durationMs, skipMs } satisfies RateLoad);
}
