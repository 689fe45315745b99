import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as yaml from 'js-yaml';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { component, DEFAULT_MESH_NAMESPACE } from '../../api/names.ts';
import {
  type EmbeddedClusterState,
  openEmbeddedCluster,
  startEmbeddedCluster,
} from '../clusters/embedded.ts';
import { applyObjects } from '../install/apply.ts';
import { applyInstallation } from '../install/install.ts';
import { waitForDeployment } from '../install/wait-for-mesh.ts';
import { applyLink, planLink, waitForLink } from '../link/link.ts';
import { type Output, silentOutput, step } from '../output.ts';
import { createTrustFolder } from '../trust/trust-folder.ts';
import type { DemoCluster } from './observe.ts';

/**
 * A part that is started as processes is available within seconds; a machine that is busy may take several times as
 * long.
 */
const DEPLOY_TIMEOUT_MS = 60_000;

/** Where the demo's things are, and what lives there. */
export interface DemoSite {
  /** Folder of everything. */
  dir: string;
  /** The clusters outlive this process. */
  keep: boolean;
  signal: AbortSignal;
  /** Every cluster that has been started, for whoever cleans up; also when the rest fails. */
  clusters: (DemoCluster & { readonly state: EmbeddedClusterState })[];
}

/** Folder of a demo's clusters: what `isthmus cluster --data-dir` takes. */
export function clustersFolder(dir: string): string {
  return join(dir, 'clusters');
}

/** Folder of a demo's trust anchor. */
export function trustFolderOf(dir: string): string {
  return join(dir, 'trust');
}

/** What was brought up. `linked` settles when both links work, or tells what is wrong with one. */
export interface BroughtUp {
  east: DemoCluster;
  west: DemoCluster;
  linked: Promise<unknown>;
}

/**
 * Two clusters with the mesh in both, linked both ways, and the example between them. Everything is applied as early as the API takes it: the parts find each
 * other. Only the example waits, for the webhook that adds its sidecars.
 */
export async function bringUp(site: DemoSite, output: Output): Promise<BroughtUp> {
  const trustDir = trustFolderOf(site.dir);
  const [east, west] = await step(output, 'start clusters east and west', () => startBoth(site, trustDir));
  await step(output, 'install the mesh in both', () => both(installMesh(east), installMesh(west)));
  const plans = await step(output, 'link them both ways', () => both(link(east, west), link(west, east)));
  await step(output, 'deploy web in west, client in east', () =>
    both(deploy(west, 'web.yaml'), deploy(east, 'client.yaml')),
  );
  const linked = both(...plans.map(waitForLink));
  // Whoever waits for it hears of it; meanwhile it is no unhandled rejection.
  linked.catch(() => undefined);
  return { east, west, linked };

  async function installMesh(cluster: DemoCluster): Promise<void> {
    await applyInstallation(cluster.access, { clusterName: cluster.name }, trustDir, silentOutput);
  }
}

/** Where one fails the others are cut short: on a disk that has filled up, a cluster that cannot say that it is ready would be waited for. */
async function startBoth(site: DemoSite, trustDir: string): Promise<[DemoCluster, DemoCluster]> {
  const failing = new AbortController();
  const signal = AbortSignal.any([site.signal, failing.signal]);
  const start = async (name: string): Promise<DemoCluster> => {
    try {
      return await startCluster(name, site, signal);
    } catch (error) {
      failing.abort(error);
      throw error;
    }
  };
  const [east, west] = await both(start('east'), start('west'), createTrustFolder(trustDir));
  return [east, west];
}

/** As Promise.all, but waits for the others also when one fails: what still starts could not be cleaned up. */
async function both<T extends readonly unknown[]>(...work: { [I in keyof T]: Promise<T[I]> }): Promise<T> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

async function startCluster(name: string, site: DemoSite, signal: AbortSignal): Promise<DemoCluster> {
  const state = await startEmbeddedCluster({
    name,
    clustersDir: clustersFolder(site.dir),
    tied: !site.keep,
    signal,
  });
  const cluster = { name, access: await openEmbeddedCluster(state), pid: state.pid ?? 0, state };
  site.clusters.push(cluster);
  return cluster;
}

async function link(source: DemoCluster, target: DemoCluster): Promise<Awaited<ReturnType<typeof planLink>>> {
  const plan = await planLink({
    source: source.access,
    target: target.access,
    meshNamespace: DEFAULT_MESH_NAMESPACE,
  });
  await applyLink(plan);
  return plan;
}

async function deploy({ access: { client } }: DemoCluster, file: string): Promise<void> {
  const text = await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8');
  // A pod that is made before the webhook answers would run without its sidecar.
  await waitForDeployment(client, DEFAULT_MESH_NAMESPACE, component.controlPlane, DEPLOY_TIMEOUT_MS);
  await applyObjects(client, yaml.loadAll(text) as KubernetesObject[]);
}
