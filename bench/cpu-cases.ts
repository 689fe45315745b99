import type { Chain } from './chain.ts';
import { ask, type LoadResult } from './load.ts';
import type { Http2Load } from './load-http2.ts';
import { cpuMicros, median } from './measure.ts';
import { peers, type Peer } from './peers.ts';
import type { Goal } from './report.ts';
import { startChains, type Stage } from './stage.ts';

/** ms of one candidate's turn in a round. */
const TURN_MS = 1_000;
/** The same where many clients connect first: their connecting is not what is asked for. */
const LONG_TURN_MS = 2_000;
const MANY_CLIENTS = 100;
/** Requests before anything is measured: so many the compilers need until nothing of the usual way is left to them. */
const WARM_UP_REQUESTS = 60_000;
/** ms that it lasts on the fastest machine: V8's first full collections come by time, and what they throw away is compiled again. */
const LEAST_WARM_UP_MS = 8_000;
/** ms after which a candidate is as warm as it gets: a machine may be slow. */
const MOST_WARM_UP_MS = 15_000;

/** One load, the same for every candidate. @returns requests answered */
export type Play = (chain: Chain) => Promise<number>;

interface PairCase {
  readonly name: string;
  readonly bytes: number;
  readonly connections: number;
  readonly goals: readonly Goal[];
}

/** Two sidecars. Goals: issue 5, speed. */
const PAIR_CASES: readonly PairCase[] = [
  {
    name: '100 B, 32 clients',
    bytes: 100,
    connections: 32,
    goals: [
      { key: 'pair-100B-c32', against: ['haproxy', 'nginx'], most: 0.6 },
      { key: 'pair-100B-c32-h2', against: ['haproxy-h2'], most: 1 },
    ],
  },
  {
    name: '100 B, 256 clients',
    bytes: 100,
    connections: 256,
    goals: [
      { key: 'pair-100B-c256', against: ['haproxy', 'nginx'], most: 0.5 },
      { key: 'pair-100B-c256-h2', against: ['haproxy-h2'], most: 0.9 },
    ],
  },
  {
    name: '100 B, 1 client',
    bytes: 100,
    connections: 1,
    goals: [{ key: 'pair-100B-c1', against: ['haproxy'], most: 1 }],
  },
  {
    name: '10 KB, 32 clients',
    bytes: 10_240,
    connections: 32,
    goals: [{ key: 'pair-10KB-c32', against: ['haproxy', 'nginx'], most: 0.75 }],
  },
  {
    name: '1 MB, 4 clients',
    bytes: 1_048_576,
    connections: 4,
    goals: [{ key: 'pair-1MB-c4', against: ['nginx'], most: 1 }],
  },
];

/** CPU of both sidecars for each request. */
export async function pairCases(stage: Stage): Promise<void> {
  const { isthmus, app, peers: others } = stage;
  const started = await startChains(
    stage,
    (build) => isthmus.pair(build, app),
    peers.map((peer) => [peer.name, others?.pair(peer, app)]),
  );
  const chains = await warmUp(stage, started, http1(stage, 100, 32));
  const wanted = PAIR_CASES.filter(({ name }) => name.startsWith(stage.only));
  for (const { name, bytes, connections, goals } of wanted) {
    await compare(stage, name, chains, http1(stage, bytes, connections), goals);
  }
}

/** CPU of a gateway alone, mutual TLS on both sides. */
export async function gatewayCase(stage: Stage): Promise<void> {
  const { isthmus, app, peers: others } = stage;
  const started = await startChains(
    stage,
    (build) => isthmus.gateway(build, app),
    peers.map((peer) => [peer.name, others?.gateway(peer, app)]),
  );
  const play = http1(stage, 100, 32);
  const chains = await warmUp(stage, started, play);
  await compare(stage, 'gateway, 100 B, 32 clients', chains, play, [
    { key: 'gateway-100B-c32', against: ['haproxy', 'haproxy-h2'], most: 0.4 },
  ]);
}

/** CPU of one proxy with HTTP/2 on both sides, as gRPC uses it. */
export async function http2Case(stage: Stage): Promise<void> {
  const { isthmus, app, peers: others } = stage;
  const { http2Port } = app;
  if (http2Port === undefined) return stage.report.note('nginx is not installed: no app that speaks HTTP/2');
  const candidates: readonly Peer[] = peers.filter((peer) => peer.name === 'haproxy');
  const started = await startChains(
    stage,
    (build) => isthmus.hop(build, app, http2Port),
    candidates.map((peer) => [peer.name, others?.hop(peer, app, http2Port)]),
  );
  const play: Play = async ({ name, host, port }) => {
    const load: Http2Load = {
      host,
      port,
      authority: 'app.shop:80',
      path: '/100',
      connections: 4,
      streams: 16,
      durationMs: TURN_MS,
    };
    return answered(name, await ask<LoadResult>(stage.processes, 'load-http2.ts', load));
  };
  const chains = await warmUp(stage, started, play);
  await compare(stage, 'HTTP/2 hop, 100 B, 4 x 16', chains, play, [
    { key: 'h2-hop-100B', against: ['haproxy'], most: 1 },
  ]);
}

/** A closed loop of HTTP/1.1. */
export function http1(stage: Stage, bytes: number, connections: number): Play {
  return async (chain) => {
    const { name, host, port } = chain;
    const durationMs = connections < MANY_CLIENTS ? TURN_MS : LONG_TURN_MS;
    const load = { host, port, target: chain.target(bytes), connections, durationMs };
    return answered(name, await stage.drive(load));
  };
}

function answered(name: string, { requests, failures }: LoadResult): number {
  if (failures > 0) throw new Error(`${name}: ${failures} of ${requests + failures} requests failed`);
  return requests;
}

/** @returns the chains that answer: an older revision may not know what is asked of it */
export async function warmUp(stage: Stage, chains: readonly Chain[], play: Play): Promise<Chain[]> {
  const warm: Chain[] = [];
  for (const chain of chains) {
    const began = performance.now();
    try {
      for (let n = 0, ms = 0; isCold(n, ms); ms = performance.now() - began) n += await play(chain);
      warm.push(chain);
    } catch (error) {
      if (chain === chains[0]) throw error;
      stage.report.note(`${chain.name} is left out: ${(error as Error).message}`);
    }
  }
  return warm;
}

/** @param ms of load by now */
function isCold(requests: number, ms: number): boolean {
  return ms < LEAST_WARM_UP_MS || (requests < WARM_UP_REQUESTS && ms < MOST_WARM_UP_MS);
}

/** Rounds in which every candidate has its turn: what else happens on the machine then meets all of them. Medians count. */
export async function compare(
  stage: Stage,
  name: string,
  chains: readonly Chain[],
  play: Play,
  goals: readonly Goal[],
): Promise<void> {
  const samples = chains.map((): number[] => []);
  // Connections, buffers and code for this load: not measured.
  for (const chain of chains) await play(chain);
  for (let round = 0; round < stage.rounds; round++) {
    for (const [i, chain] of chains.entries()) {
      const before = used(chain);
      const requests = await play(chain);
      // On a machine that is very busy a turn may pass without an answer: it says nothing.
      if (requests > 0) samples[i]?.push((used(chain) - before) / requests);
    }
  }
  const values = new Map(chains.map((chain, i) => [chain.name, median(samples[i] ?? [])]));
  stage.report.add(name, { unit: 'µs', values, goals });
}

function used(chain: Chain): number {
  return chain.pids.reduce((sum, pid) => sum + cpuMicros(pid), 0);
}
