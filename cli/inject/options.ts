import type { Options } from 'yargs';
import { type GlobalArguments, renderOptions } from '../options.ts';
import type { ObjectFormat } from '../output.ts';

/** What the options below come to. */
export interface ManifestArguments extends GlobalArguments {
  files: string[];
  namespace: string;
  output: ObjectFormat | undefined;
  dryRun: boolean;
}

export const positionalFiles = {
  type: 'string',
  array: true,
  demandOption: true,
  describe: 'YAML or JSON files, folders, or -',
} as const;

/** Options of the commands that read manifests and give them back changed. */
export const manifestOptions = {
  namespace: {
    alias: 'n',
    type: 'string',
    default: 'default',
    describe: 'Namespace of objects that name none',
  },
  ...renderOptions,
} as const satisfies Record<string, Options>;
