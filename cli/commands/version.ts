import { defineCommand } from '../define-command.ts';
import { VERSION } from '../../api/names.ts';
import { openCluster } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { readInstallation } from '../install/installation.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput } from '../output.ts';

interface VersionArguments extends GlobalArguments {
  client: boolean;
  short: boolean;
  output: string | undefined;
}

export const versionCommand = defineCommand<VersionArguments>({
  command: 'version',
  describe: 'Print the version of this command and of the mesh in the cluster',
  builder: (yargs) =>
    yargs.options({
      client: { type: 'boolean', default: false, describe: 'Only the version of this command' },
      short: { type: 'boolean', default: false, describe: 'Only the numbers' },
      output: { alias: 'o', type: 'string', choices: ['json'], describe: 'Format of the output' },
    }),
  handler: async (args) => {
    const server = args.client ? undefined : await serverVersion(args);
    if (args.output === 'json') {
      const versions = args.client ? { client: VERSION } : { client: VERSION, server: server ?? null };
      standardOutput.out(`${JSON.stringify(versions)}\n`);
      return;
    }
    const name = (what: string): string => (args.short ? '' : `${what} version: `);
    standardOutput.out(`${name('Client')}${VERSION}\n`);
    if (!args.client) standardOutput.out(`${name('Server')}${server ?? 'unavailable'}\n`);
  },
});

async function serverVersion(args: VersionArguments): Promise<string | undefined> {
  try {
    const cluster = await openCluster(args);
    try {
      const values = await readInstallation(cluster, args.isthmusNamespace);
      return values?.image.split(':').at(-1);
    } finally {
      await cluster.client.close();
    }
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
