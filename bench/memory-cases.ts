import { join } from 'node:path';
import type { Chain } from './chain.ts';
import type { StalledLoad } from './load-stalled.ts';
import { memoryMib } from './measure.ts';
import { learnt, type Stage } from './stage.ts';

const CONNECTIONS = 256;
/** ms that connections ask and read. */
const LOAD_MS = 3_000;
/** ms for windows and socket buffers to fill behind clients that read nothing, and for what that leaves idle to be given back. */
const STALL_MS = 5_000;
/** MiB of one sidecar. */
const MOST_RSS = 64;
const MOST_ANONYMOUS = 24;

/** Memory of a sidecar, the larger of the two, under connections that ask and read, and under as many that do not read. */
export async function memoryCases(stage: Stage): Promise<void> {
  const { isthmus, app, processes } = stage;
  const [build] = stage.builds;
  if (build === undefined) return;
  const chain = await isthmus.pair(build, app);
  const { host, port } = chain;
  await learnt();
  await stage.drive({
    host,
    port,
    target: chain.target(100),
    connections: CONNECTIONS,
    durationMs: LOAD_MS,
  });
  tell(stage, chain, 'busy', `${CONNECTIONS} connections`);
  const load: StalledLoad = { host, port, target: chain.target(1_048_576), connections: CONNECTIONS };
  const path = join(import.meta.dirname, 'load-stalled.ts');
  const stalled = processes.startNode('load', path, [JSON.stringify(load)]);
  await new Promise((resolve) => setTimeout(resolve, STALL_MS));
  tell(stage, chain, 'stalled', `${CONNECTIONS} stalled streams`);
  stalled.disconnect();
}

function tell({ report }: Stage, chain: Chain, key: string, name: string): void {
  const memory = chain.pids.map(memoryMib);
  const most = (of: 'rss' | 'anonymous'): number => Math.max(...memory.map((one) => one[of]));
  const goal = (kind: string, limit: number) => [{ key: `${kind}-${key}-256`, against: [], most: limit }];
  report.add(`memory, ${name}`, {
    unit: 'MiB',
    values: new Map([['isthmus', most('rss')]]),
    goals: goal('rss', MOST_RSS),
  });
  report.add('  of it anonymous', {
    unit: 'MiB',
    values: new Map([['isthmus', most('anonymous')]]),
    goals: goal('anonymous', MOST_ANONYMOUS),
  });
}
