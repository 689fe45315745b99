import { openCluster } from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { UserError } from '../errors.ts';
import { install, renderInstallation } from '../install/install.ts';
import { VALUES } from '../install/value-schema.ts';
import { givenValues, type ValueArguments, valueOptions } from '../install/value-options.ts';
import type { AskedValues } from '../install/values.ts';
import { type GlobalArguments, renderOptions } from '../options.ts';
import { type ObjectFormat, renderObjects, standardOutput } from '../output.ts';

interface InstallArguments extends GlobalArguments, ValueArguments {
  clusterName: string;
  trust: string | undefined;
  trustDomain: string | undefined;
  clusterDomain: string | undefined;
  output: ObjectFormat | undefined;
  dryRun: boolean;
}

export const installCommand = defineCommand<InstallArguments>({
  command: 'install',
  describe: 'Install the mesh in a cluster: control plane, gateway, mirror controller',
  builder: (yargs) =>
    yargs
      .options({
        'cluster-name': {
          type: 'string',
          demandOption: true,
          describe:
            'Id of the cluster, everywhere and for good: suffix of its mirrors, part of its identities',
        },
        trust: {
          type: 'string',
          describe:
            'Folder of the trust anchor, from `isthmus trust create` (default: your own, made at the first install)',
        },
        'trust-domain': { type: 'string', describe: 'SPIFFE trust domain (default: cluster.local)' },
        'cluster-domain': { type: 'string', describe: 'DNS domain of the cluster (default: cluster.local)' },
        ...valueOptions,
        ...renderOptions,
      })
      .example(
        '$0 install --context east --cluster-name east --trust ./trust',
        'Install with a shared trust anchor',
      )
      .example('$0 install --cluster-name east --ha -o yaml', 'Print the objects, for GitOps'),
  handler: async (args) => {
    const asked = await askedValues(args);
    if (args.dryRun || args.output !== undefined) {
      // Printed for any cluster: none is asked what it is.
      const objects = await renderInstallation(asked, { embedded: false }, args.trust, standardOutput);
      standardOutput.out(renderObjects(objects, args.output ?? 'yaml'));
      return;
    }
    const cluster = await openCluster(args);
    try {
      await install(cluster, asked, args.trust, standardOutput);
    } finally {
      await cluster.client.close();
    }
  },
});

async function askedValues(args: InstallArguments): Promise<AskedValues> {
  const { clusterName, isthmusNamespace: meshNamespace, trustDomain, clusterDomain } = args;
  const fixed = { clusterName, meshNamespace, trustDomain, clusterDomain };
  for (const [path, given] of Object.entries(fixed)) {
    const { read, expected } = VALUES[path as keyof typeof fixed];
    if (given !== undefined && read(given) === undefined) {
      throw new UserError(`${path} ${JSON.stringify(given)} can not be used`, `It must be ${expected}.`);
    }
  }
  return {
    ...(await givenValues(args)),
    clusterName,
    meshNamespace,
    ...(trustDomain === undefined ? {} : { trustDomain }),
    ...(clusterDomain === undefined ? {} : { clusterDomain }),
  };
}
