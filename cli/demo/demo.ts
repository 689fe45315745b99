import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { deleteEmbeddedCluster } from '../clusters/embedded.ts';
import { type Output, step } from '../output.ts';
import { bringUp, clustersFolder, type DemoSite, trustFolderOf } from './bring-up.ts';
import { type DemoFolder, makeDemoFolder, outOfRoom, removeDemoFolder } from './demo-folder.ts';
import { LiveView } from './live-view.ts';
import { type DemoResult, measure, waitForFirstAnswer, watchTraffic } from './traffic.ts';

export interface DemoOptions {
  /** Folder of everything; a temporary one when undefined. */
  dataDir: string | undefined;
  /** ms after the first answer until the end; undefined: until interrupted. */
  forMs: number | undefined;
  /** No live view: the result is all that is wanted. */
  json: boolean;
  /** Leaves the clusters running at the end. */
  keep: boolean;
  /** When the person pressed Enter: ms since the epoch. */
  startedAt: number;
  signal: AbortSignal;
}

/** How a demo ended that nothing went wrong with. */
export type DemoEnd =
  | { kind: 'not answered' }
  /** `complete`: all of the time that was asked for has passed; where none was, its end is the person's to choose. */
  | { kind: 'answered'; result: DemoResult; complete: boolean };

/**
 * Two clusters, the mesh in both, linked both ways, and the example between them. Whatever happens, nothing is left behind but with `keep`.
 * Throws what went wrong; an interruption is not wrong: it answers what had been measured by then.
 */
export async function runDemo(options: DemoOptions, output: Output): Promise<DemoEnd> {
  const { signal } = options;
  const folder = await makeDemoFolder(options.dataDir);
  const site: DemoSite = { dir: folder.dir, keep: options.keep, signal, clusters: [] };
  let answering = false;
  // Whatever is being asked of a cluster then fails, and with it the step that asked.
  const hangUp = (): void => {
    if (!answering) void closeClients(site);
  };
  signal.addEventListener('abort', hangUp);
  try {
    const { linked, ...pair } = await bringUp(site, output);
    await step(output, 'first request from east answered by west', () =>
      Promise.race([waitForFirstAnswer(pair, signal), failure(linked)]),
    );
    await step(output, 'links work both ways: gateways are alive, services mirrored', () => linked);
    answering = true;
    const view = new LiveView(output);
    try {
      await watchTraffic(pair, options.forMs, signal, (sight) => {
        if (!options.json) view.show(sight);
      });
    } finally {
      view.close();
    }
    const complete = options.forMs === undefined || !signal.aborted;
    return { kind: 'answered', result: await measure(pair, options.startedAt), complete };
  } catch (error) {
    if (signal.aborted) return { kind: 'not answered' };
    throw (await outOfRoom(folder.dir, error)) ?? error;
  } finally {
    signal.removeEventListener('abort', hangUp);
    await closeClients(site);
    if (options.keep && site.clusters.length > 0) tellKept(folder.dir, output);
    else await step(output, 'remove the clusters', () => remove(site, folder));
  }
}

/** Rejects when the work does, and never settles otherwise: a link that does not come up says better than the client why there is no answer. */
async function failure(work: Promise<unknown>): Promise<never> {
  await work;
  return new Promise(() => undefined);
}

async function closeClients({ clusters }: DemoSite): Promise<void> {
  await Promise.all(clusters.map((cluster) => cluster.access.client.close()));
}

function tellKept(dir: string, output: Output): void {
  const clusters = clustersFolder(dir);
  const config = (name: string): string => join(clusters, name, 'data', 'kubeconfig');
  output.err(
    [
      `The clusters go on in ${dir}. To look at them and to end them:`,
      `  export KUBECONFIG=${config('east')}:${config('west')}`,
      '  kubectl --context east get pods -A',
      '  npx isthmus check --context east',
      `  npx isthmus cluster delete east west --data-dir ${clusters}`,
      '',
    ].join('\n'),
  );
}

/** Ends everything and removes what the demo has made; a folder that was there before stays. */
async function remove({ clusters }: DemoSite, folder: DemoFolder): Promise<void> {
  // East before west, since its client asks there: else its last requests wait out the seconds that a proxy gives an endpoint to come back.
  for (const { state } of clusters.toSorted((a, b) => a.name.localeCompare(b.name))) {
    await deleteEmbeddedCluster(state);
  }
  for (const path of [clustersFolder(folder.dir), trustFolderOf(folder.dir)]) {
    await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
  await removeDemoFolder(folder);
}
