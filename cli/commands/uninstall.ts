import { defineCommand } from '../define-command.ts';
import { openCluster } from '../cluster-access.ts';
import { uninstall } from '../install/uninstall.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput } from '../output.ts';

export const uninstallCommand = defineCommand<GlobalArguments>({
  command: 'uninstall',
  describe: 'Remove the mesh from a cluster: everything that is ours, nothing that is not',
  builder: (yargs) => yargs,
  handler: async (args) => {
    const cluster = await openCluster(args);
    try {
      await uninstall(cluster, args.isthmusNamespace, standardOutput);
    } finally {
      await cluster.client.close();
    }
  },
});
