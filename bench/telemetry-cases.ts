import { join } from 'node:path';
import { telemetryEnv } from '../api/names.ts';
import type { Chain } from './chain.ts';
import { compare, http1, warmUp } from './cpu-cases.ts';
import type { More } from './isthmus.ts';
import { latency } from './latency-cases.ts';
import type { SeriesLoad } from './load-series.ts';
import { median } from './measure.ts';
import { message } from './processes.ts';
import type { Stage } from './stage.ts';

const SERIES = 10_000;
/** What one more name is in the exposition: 28 of a histogram's lines, 7 of another's, four of the balancer, three counters. */
const SERIES_OF_A_NAME = 42;
/** ms of one turn at a fixed rate: some scrapes must fall into it. */
const TURN_MS = 4_000;
const SKIP_MS = 300;

/** What a sidecar may tell of single requests, or of many: what it costs beside the same pair without. */
export async function telemetryCases(stage: Stage): Promise<void> {
  for (const [name, telling] of Object.entries(CASES)) {
    if (!name.startsWith(stage.only)) continue;
    await compareWith(stage, name, await telling(stage));
  }
}

const CASES: Readonly<Record<string, (stage: Stage) => Promise<More>>> = {
  'access log': async ({ folder }) => ({
    env: {
      [telemetryEnv.accessLog]: 'json',
      [telemetryEnv.accessLogFile]: join(folder, 'access.log'),
    },
  }),
  'traces of 1 %': (stage) => traces(stage, '0.01'),
  'traces of all': (stage) => traces(stage, '1'),
  [`${SERIES} series`]: async () => ({
    authorities: Array.from(
      { length: Math.ceil(SERIES / SERIES_OF_A_NAME) },
      (_, i) => `service-${i}.shop:8080`,
    ),
  }),
};

async function traces({ processes }: Stage, sampling: string): Promise<More> {
  const collector = processes.startNode('load', join(import.meta.dirname, 'collector.ts'));
  const { port } = await message<{ kind: 'listening'; port: number }>(collector, 'listening');
  return {
    env: {
      [telemetryEnv.traceCollector]: `127.0.0.1:${port}`,
      [telemetryEnv.traceSampling]: sampling,
    },
  };
}

async function compareWith(stage: Stage, name: string, telling: More): Promise<void> {
  const { isthmus, app, report } = stage;
  const [build] = stage.builds;
  if (build === undefined) return;
  const base: Chain = { ...(await isthmus.pair(build, app)), name: 'without' };
  const more = await isthmus.pair(build, app, telling);
  const play = http1(stage, 100, 32);
  const chains = await warmUp(stage, [more, base], play);
  const { authorities } = telling;
  if (authorities !== undefined) await readSeries(stage, more, authorities);
  await compare(stage, name, chains, play, []);
  if (authorities === undefined) return;
  const samples = new Map(chains.map((chain): [Chain, number[]] => [chain, []]));
  for (let round = 0; round < stage.rounds; round++)
    for (const [chain, found] of samples) found.push((await latency(stage, chain, TURN_MS, SKIP_MS)).p99);
  report.add(`${name}, p99`, {
    unit: 'µs',
    values: new Map([...samples].map(([chain, found]) => [chain.name, median(found)])),
    goals: [],
  });
}

/** Series of all these names from now on, some of them new values each second, all read each second. */
async function readSeries(
  { processes }: Stage,
  { port, admins = [] }: Chain,
  authorities: readonly string[],
): Promise<void> {
  for (const host of admins) {
    const load: SeriesLoad = { host, port, authorities, path: '/100' };
    const file = join(import.meta.dirname, 'load-series.ts');
    await message(processes.startNode('load', file, [JSON.stringify(load)]), 'all asked');
  }
  processes.startNode('load', join(import.meta.dirname, 'scrape.ts'), admins);
}
