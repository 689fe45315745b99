import { availableParallelism } from 'node:os';
import { type Output, step } from '../cli/output.ts';
import { type ClusterDefinition, linksBetween } from './clusters.ts';
import { clustersAtOnce, inParallel } from './in-parallel.ts';
import { createCluster, exportKubeconfig, loadImages, nodeState, startCluster } from './kind.ts';
import { buildImages, ensureTrust, installMesh, linkClusters, linksWork, restartMesh } from './mesh.ts';

/** What each step of these commands gets. */
export interface Site {
  clusters: readonly ClusterDefinition[];
  output: Output;
  /** Aborted: what is under way ends, and a cluster that is half made goes. */
  signal: AbortSignal;
}

const atOnce = (): number => clustersAtOnce(process.availableMemory(), availableParallelism());

/** Brings the clusters to where they should be: there, running, with the images and the mesh, linked all ways. What is so already stays as it is. */
export async function bringUp(site: Site): Promise<void> {
  await step(site.output, 'build the images', () => buildImages(site.signal));
  await bringUpClusters(site);
  await bringUpMesh(site);
  await linkAll(site);
}

/** Makes the clusters that are absent and starts those that were stopped. */
async function bringUpClusters({ clusters, output, signal }: Site): Promise<void> {
  await inParallel(atOnce(), clusters, async (cluster) => {
    const { name } = cluster;
    const state = await nodeState(name);
    if (state === 'absent')
      await step(output, `create cluster ${name}`, () => createCluster(cluster, signal));
    else if (state === 'stopped') await step(output, `start cluster ${name}`, () => startCluster(name));
    else await step(output, `cluster ${name} runs`, () => exportKubeconfig(name));
  });
}

/** Loads the images and installs the mesh. */
async function bringUpMesh({ clusters, output, signal }: Site): Promise<void> {
  await ensureTrust();
  await inParallel(atOnce(), clusters, async (cluster) => {
    await step(output, `load the images into ${cluster.name}`, () => loadImages(cluster.name));
    await step(output, `install the mesh in ${cluster.name}`, () => installMesh(cluster, signal));
  });
}

/** Builds and loads the images anew, and restarts the mesh's own pods with them. Pods with a sidecar keep theirs until they are restarted. */
export async function loadAnew({ clusters, output, signal }: Site): Promise<void> {
  await step(output, 'build the images', () => buildImages(signal));
  await inParallel(atOnce(), clusters, async ({ name }) => {
    await step(output, `load the images into ${name}`, () => loadImages(name));
    await step(output, `restart the mesh in ${name}`, () => restartMesh(name));
  });
}

/** Links each cluster to each other, and waits until all links work: their controllers and probes start side by side. */
export async function linkAll({ clusters, output, signal }: Site): Promise<void> {
  await inParallel(atOnce(), linksBetween(clusters), async (pair) => {
    const title = `link ${pair.source.name} to ${pair.target.name}`;
    await step(output, title, () => linkClusters(pair, signal));
  });
  for (const { name } of clusters) await step(output, `links of ${name} work`, () => linksWork(name));
}
