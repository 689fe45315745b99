import type { Options } from 'yargs';
import { DEFAULT_MESH_NAMESPACE } from '../api/names.ts';

/** kubectl's flags, on every command that talks to a cluster. */
export const globalOptions = {
  context: { type: 'string', describe: 'Kubeconfig context to use' },
  kubeconfig: {
    type: 'string',
    describe: 'Path of the kubeconfig (default: $KUBECONFIG, then ~/.kube/config)',
  },
  'isthmus-namespace': {
    type: 'string',
    default: DEFAULT_MESH_NAMESPACE,
    describe: 'Namespace of the mesh',
  },
} as const satisfies Record<string, Options>;

/** What the flags above come to. */
export interface GlobalArguments {
  context: string | undefined;
  kubeconfig: string | undefined;
  isthmusNamespace: string;
}

/** `--dry-run` and `-o` of commands that make objects. */
export const renderOptions = {
  output: {
    alias: 'o',
    type: 'string',
    choices: ['yaml', 'json'],
    describe: 'Print the objects instead of applying them',
  },
  'dry-run': { type: 'boolean', default: false, describe: 'Print the objects instead of applying them' },
} as const satisfies Record<string, Options>;

/** What `-` as a file stands for: yargs loses a lone hyphen, so it is replaced before. */
export const STANDARD_INPUT = '/dev/stdin';
