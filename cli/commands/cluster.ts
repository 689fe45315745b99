import { readFile } from 'node:fs/promises';
import type { Argv, CommandModule } from 'yargs';
import { defineCommand } from '../define-command.ts';
import {
  defaultClustersDir,
  deleteEmbeddedCluster,
  findEmbeddedCluster,
  listEmbeddedClusters,
  startEmbeddedCluster,
} from '../clusters/embedded.ts';
import { mergeIntoKubeconfig, removeFromKubeconfig } from '../clusters/kubeconfig-file.ts';
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
  describe: 'Start an embedded cluster and add its context to the kubeconfig',
  builder: named,
  handler: async (args) => {
    const cluster = await step(standardOutput, `start cluster ${args.name}`, () =>
      startEmbeddedCluster({ name: args.name, clustersDir: args.dataDir, tied: false }),
    );
    const file = await mergeIntoKubeconfig(
      cluster.name,
      await readFile(cluster.kubeconfig, 'utf8'),
      args.kubeconfig,
    );
    standardOutput.out(`Context "${cluster.name}" is now in ${file}; API at ${cluster.url}\n`);
  },
});

const remove = defineCommand<NamedArguments>({
  command: 'delete <name>',
  describe: 'End an embedded cluster with its pods, and remove its data and its context',
  builder: named,
  handler: async (args) => {
    const cluster = await findEmbeddedCluster(args.dataDir, args.name);
    await step(standardOutput, `delete cluster ${args.name}`, () => deleteEmbeddedCluster(cluster));
    await removeFromKubeconfig(args.name, args.kubeconfig);
  },
});

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
    standardOutput.out(await readFile(cluster.kubeconfig, 'utf8'));
  },
});

export const clusterCommand: CommandModule = {
  command: 'cluster',
  describe: 'Embedded clusters: a Kubernetes API, controllers and pods as local processes',
  builder: (yargs) =>
    yargs.command(create).command(remove).command(list).command(kubeconfig).demandCommand(1),
  handler: () => undefined,
};
