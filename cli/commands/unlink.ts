import { defineCommand } from '../define-command.ts';
import {
  asUser,
  type ClusterAccess,
  openCluster,
  readClusterId,
  requireClusterId,
} from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import { removeSourceSide, removeTargetSide } from '../link/link.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput, step } from '../output.ts';

interface UnlinkArguments extends GlobalArguments {
  from: string;
  mutual: boolean;
}

export const unlinkCommand = defineCommand<UnlinkArguments>({
  command: 'unlink',
  describe: 'Undo a link; works also when the target cluster is gone',
  builder: (yargs) =>
    yargs
      .options({
        from: {
          type: 'string',
          demandOption: true,
          describe:
            'Target cluster: its kubeconfig context, or its cluster id when it can no longer be reached',
        },
        mutual: { type: 'boolean', default: false, describe: 'Undo both ways' },
      })
      .example('$0 unlink --context east --from west', 'Stop mirroring what west exports'),
  handler: async (args) => {
    const source = await openCluster(args);
    const sourceId = await asUser(source, () => requireClusterId(source));
    const target = await reachTarget(args);
    const targetId = target?.id ?? args.from;
    try {
      await step(standardOutput, `unlink ${sourceId} from ${targetId}`, () =>
        removeSourceSide(source, targetId, args.isthmusNamespace),
      );
      if (target === undefined) {
        standardOutput.err(
          `‼ cluster "${targetId}" cannot be reached: its ServiceAccount isthmus-link-${sourceId} stays until it is removed there\n`,
        );
        if (args.mutual) throw new UserError(`cluster "${targetId}" cannot be reached to undo its own link`);
        return;
      }
      await step(standardOutput, `remove ${sourceId}'s account in ${targetId}`, () =>
        removeTargetSide(target.access, sourceId, args.isthmusNamespace),
      );
      if (!args.mutual) return;
      await step(standardOutput, `unlink ${targetId} from ${sourceId}`, () =>
        removeSourceSide(target.access, sourceId, args.isthmusNamespace),
      );
      await step(standardOutput, `remove ${targetId}'s account in ${sourceId}`, () =>
        removeTargetSide(source, targetId, args.isthmusNamespace),
      );
    } finally {
      await Promise.all([source.client.close(), target?.access.client.close()]);
    }
  },
});

/** The target, if `--from` is a context and its API answers. */
async function reachTarget(
  args: UnlinkArguments,
): Promise<{ access: ClusterAccess; id: string } | undefined> {
  try {
    const access = await openCluster({ context: args.from, kubeconfig: args.kubeconfig });
    const id = await asUser(access, () => readClusterId(access));
    return id === undefined ? undefined : { access, id };
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
