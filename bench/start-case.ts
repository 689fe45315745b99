import { once } from 'node:events';
import { freshAddress } from '../test/testing/addresses.ts';
import type { Build } from './build.ts';
import { names } from './isthmus.ts';
import { median } from './measure.ts';
import { untilReady } from './readiness.ts';
import type { Stage } from './stage.ts';

const STARTS = 7;
/** ms between two looks whether it is ready. */
const LOOK_MS = 2;

/** Time from the start of a sidecar to its readiness. */
export async function startCase(stage: Stage): Promise<void> {
  const times = new Map(stage.builds.map(({ name }): [string, number[]] => [name, []]));
  for (let i = 0; i < STARTS; i++) {
    for (const build of stage.builds) times.get(build.name)?.push(await oneStart(stage, build));
  }
  stage.report.add('start to ready', {
    unit: 'ms',
    values: new Map([...times].map(([name, found]) => [name, median(found)])),
    goals: [{ key: 'start-to-ready', against: [], most: 150 }],
  });
}

async function oneStart({ isthmus, processes }: Stage, build: Build): Promise<number> {
  const ip = freshAddress();
  const env = await isthmus.environment(ip, { names: names('web', 'east'), services: [] });
  const begun = performance.now();
  const child = processes.startPart(build, 'proxy', env);
  await untilReady(child, ip, LOOK_MS);
  const took = performance.now() - begun;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return took;
}
