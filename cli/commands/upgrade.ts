import { openCluster } from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { renderUpgrade, upgrade } from '../install/upgrade.ts';
import { givenValues, type ValueArguments, valueOptions } from '../install/value-options.ts';
import { type GlobalArguments, renderOptions } from '../options.ts';
import { type ObjectFormat, renderObjects, standardOutput } from '../output.ts';

interface UpgradeArguments extends GlobalArguments, ValueArguments {
  output: ObjectFormat | undefined;
  dryRun: boolean;
}

export const upgradeCommand = defineCommand<UpgradeArguments>({
  command: 'upgrade',
  describe: "Bring a cluster's mesh to this version, or to other values; trust anchors and issuer stay",
  builder: (yargs) =>
    yargs
      .options({ ...valueOptions, ...renderOptions })
      .example('$0 upgrade --context east', 'To the version of this command, with the values of the install')
      .example('$0 upgrade --set gateway.replicas=3', 'Change one value'),
  handler: async (args) => {
    const changes = await givenValues(args);
    const cluster = await openCluster(args);
    try {
      if (args.dryRun || args.output !== undefined) {
        const objects = await renderUpgrade(cluster, args.isthmusNamespace, changes);
        standardOutput.out(renderObjects(objects, args.output ?? 'yaml'));
        return;
      }
      await upgrade(cluster, args.isthmusNamespace, changes, standardOutput);
    } finally {
      await cluster.client.close();
    }
  },
});
