import type { CommandModule } from 'yargs';
import { DEFAULT_TRUST_DOMAIN } from '../../api/names.ts';
import { defineCommand } from '../define-command.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput } from '../output.ts';
import { createTrustFolder } from '../trust/trust-folder.ts';

interface CreateArguments extends GlobalArguments {
  out: string;
  trustDomain: string;
}

const create = defineCommand<CreateArguments>({
  command: 'create',
  describe:
    'Make the trust anchor of a cluster set on this disk: ca.crt, and ca.key which no cluster ever holds',
  builder: (yargs) =>
    yargs.options({
      out: { type: 'string', demandOption: true, describe: 'Folder to write to; made where it is missing' },
      'trust-domain': { type: 'string', default: DEFAULT_TRUST_DOMAIN, describe: 'SPIFFE trust domain' },
    }),
  handler: async (args) => {
    await createTrustFolder(args.out, args.trustDomain);
    standardOutput.out(
      `Trust anchor written to ${args.out}. Keep ca.key safe: whoever has it can speak for every cluster.\n`,
    );
  },
});

export const trustCommand: CommandModule = {
  command: 'trust',
  describe: 'The trust anchor that the clusters share',
  builder: (yargs) =>
    yargs.command(create).demandCommand(1, 'Say what to do; `isthmus trust --help` lists it.'),
  handler: () => undefined,
};
