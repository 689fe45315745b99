import { readFile } from 'node:fs/promises';
import type { Argv, CommandModule } from 'yargs';
import { defineCommand } from '../define-command.ts';
import { UserError } from '../errors.ts';
import {
  defaultClustersDir,
  deleteEmbeddedCluster,
  type EmbeddedClusterState,
  findEmbeddedCluster,
  listEmbeddedClusters,
  startEmbeddedCluster,
} from '../clusters/embedded.ts';
import { mergeIntoKubeconfig, removeFromKubeconfig } from '../clusters/kubeconfig-file.ts';
import { interruptible } from '../interruption.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput, step, table } from '../output.ts';

interface ClusterArguments extends GlobalArguments {
  dataDir: string;
}

interface NamedArguments extends ClusterArguments {
  name: string;
}

const dataDir = {
  'data-dir': {
    type: 'string',
    default: defaultClustersDir(),
    describe: 'Folder that holds the clusters',
  },
} as const;

function named(yargs: Argv): Argv {
  return yargs
    .positional('name', { type: 'string', demandOption: true, describe: 'Name of the cluster' })
    .options(dataDir);
}

const create = defineCommand<NamedArguments>({
  command: 'create <name>',
  describe: 'Start an embedded cluster, with the data that it had, and add its context to the kubeconfig',
  builder: named,
  handler: (args) =>
    interruptible(async (signal) => {
      const { name, dataDir: clustersDir } = args;
      const cluster = await step(standardOutput, `start cluster ${name}`, () =>
        startEmbeddedCluster({ name, clustersDir, tied: false, signal }),
      );
      standardOutput.err(`API at ${cluster.url}, kubeconfig ${cluster.kubeconfig}\n`);
      const file = await mergeIntoKubeconfig(await readFile(cluster.kubeconfig, 'utf8'), args.kubeconfig);
      standardOutput.out(`Context "${name}" is now the current one in ${file}\n`);
    }),
});

const remove = defineCommand<ClusterArguments & { names: string[] }>({
  command: 'delete <names..>',
  describe: 'End embedded clusters with their pods, and remove their data and contexts',
  builder: (yargs) =>
    yargs
      .positional('names', { type: 'string', array: true, demandOption: true, describe: 'Names of clusters' })
      .options(dataDir),
  handler: async (args) => {
    // All are looked up before the first one ends: a name that is mistyped ends none.
    const clusters = await Promise.all(
      [...new Set(args.names)].map((name) => findEmbeddedCluster(args.dataDir, name)),
    );
    for (const cluster of clusters) await removeCluster(cluster, args.kubeconfig);
  },
});

async function removeCluster(cluster: EmbeddedClusterState, kubeconfigFile?: string): Promise<void> {
  // A cluster that has never been ready has none.
  const config = await readFile(cluster.kubeconfig, 'utf8').catch(() => undefined);
  await step(standardOutput, `delete cluster ${cluster.name}`, () => deleteEmbeddedCluster(cluster));
  if (config !== undefined) await removeFromKubeconfig(config, kubeconfigFile);
}

const list = defineCommand<ClusterArguments & { output: string | undefined }>({
  command: 'list',
  describe: 'List the embedded clusters',
  builder: (yargs) =>
    yargs.options({
      ...dataDir,
      output: { alias: 'o', type: 'string', choices: ['table', 'json'], describe: 'Format of the output' },
    }),
  handler: async (args) => {
    const clusters = await listEmbeddedClusters(args.dataDir);
    if (args.output === 'json') {
      const rows = clusters.map(({ name, pid, url }) => ({
        name,
        running: pid !== undefined,
        pid: pid ?? null,
        url,
      }));
      standardOutput.out(`${JSON.stringify(rows, null, 2)}\n`);
      return;
    }
    if (clusters.length === 0)
      standardOutput.err('No embedded clusters. Make one with `isthmus cluster create NAME`.\n');
    else {
      const rows = clusters.map((c) => [c.name, c.pid === undefined ? 'Stopped' : 'Running', c.url]);
      standardOutput.out(table(['NAME', 'STATUS', 'API'], rows));
    }
  },
});

const kubeconfig = defineCommand<NamedArguments>({
  command: 'kubeconfig <name>',
  describe: "Print an embedded cluster's kubeconfig",
  builder: named,
  handler: async (args) => {
    const cluster = await findEmbeddedCluster(args.dataDir, args.name);
    standardOutput.out(await readKubeconfig(cluster));
  },
});

async function readKubeconfig({ name, kubeconfig: file }: EmbeddedClusterState): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UserError(
      `cluster "${name}" has no kubeconfig`,
      `It has never been ready: \`isthmus cluster create ${name}\` starts it.`,
      { cause: error },
    );
  }
}

export const clusterCommand: CommandModule = {
  command: 'cluster',
  describe: 'Embedded clusters: a Kubernetes API, controllers and pods as local processes',
  builder: (yargs) =>
    yargs
      .command(create)
      .command(remove)
      .command(list)
      .command(kubeconfig)
      .demandCommand(1, 'Say what to do; `isthmus cluster --help` lists it.'),
  handler: () => undefined,
};
