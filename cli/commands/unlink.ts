import { resources } from '../../kubernetes/resources.ts';
import {
  asUser,
  type ClusterAccess,
  openCluster,
  readClusterId,
  requireClusterId,
} from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { UserError } from '../errors.ts';
import { removeSourceSide, removeTargetSide } from '../link/link.ts';
import { linkServiceAccountName } from '../link/link-objects.ts';
import type { GlobalArguments } from '../options.ts';
import { mark, standardOutput, step } from '../output.ts';

interface UnlinkArguments extends GlobalArguments {
  from: string;
  mutual: boolean;
}

/** One side of the link that is to go. */
interface Side {
  access: ClusterAccess;
  id: string;
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
    const near = await openCluster(args);
    const far = await reachTarget(args);
    try {
      const source = { access: near, id: await asUser(near, () => requireClusterId(near)) };
      if (far.reached) await unlinkLive(source, far.side, args);
      else await unlinkDead(source, far.why, args);
    } finally {
      await Promise.all([near.client.close(), far.reached ? far.side.access.client.close() : undefined]);
    }
  },
});

async function unlinkLive(source: Side, target: Side, args: UnlinkArguments): Promise<void> {
  const there = await unlinkOneWay(source, target, args.isthmusNamespace);
  const back = args.mutual && (await unlinkOneWay(target, source, args.isthmusNamespace));
  if (!there && !back) throw await notLinked(source, target.id, args.isthmusNamespace);
}

/** Answers whether there was anything to undo; half a link, of an unlink that was interrupted, is something. */
async function unlinkOneWay(source: Side, target: Side, meshNamespace: string): Promise<boolean> {
  const had = await step(standardOutput, `unlink ${source.id} from ${target.id}`, () =>
    removeSourceSide(source.access, target.id, meshNamespace),
  );
  const hadAccount = await step(standardOutput, `remove ${source.id}'s account in ${target.id}`, () =>
    removeTargetSide(target.access, source.id, meshNamespace),
  );
  return had || hadAccount;
}

/** What is left in the target is told. */
async function unlinkDead(source: Side, why: string, args: UnlinkArguments): Promise<void> {
  const { from: targetId, isthmusNamespace } = args;
  const had = await step(standardOutput, `unlink ${source.id} from ${targetId}`, () =>
    removeSourceSide(source.access, targetId, isthmusNamespace),
  );
  if (args.mutual) await removeTargetSide(source.access, targetId, isthmusNamespace);
  if (!had) throw await notLinked(source, targetId, isthmusNamespace, why);
  const account = `ServiceAccount ${linkServiceAccountName(source.id)}`;
  const left = args.mutual ? `its own link and ${account} stay` : `${account} stays`;
  standardOutput.err(
    `${mark('warning', standardOutput.interactive)} cluster "${targetId}" was not reached (${why}): ` +
      `${left} there until removed\n`,
  );
}

async function notLinked(
  { access, id }: Side,
  targetId: string,
  namespace: string,
  why?: string,
): Promise<UserError> {
  const links = await asUser(access, () => access.client.list(resources.links, { namespace }));
  const names = links.items.map((link) => link.metadata?.name).join(', ') || 'none';
  const unreached = why === undefined ? '' : ` (taken for a cluster id, since ${why})`;
  return new UserError(
    `cluster "${id}" has no link to "${targetId}"${unreached}`,
    `Its links go to: ${names}.`,
  );
}

type Reached = { reached: true; side: Side } | { reached: false; why: string };

/** The target, if `--from` is a context and its API answers. */
async function reachTarget(args: UnlinkArguments): Promise<Reached> {
  let access: ClusterAccess | undefined;
  try {
    access = await openCluster({ context: args.from, kubeconfig: args.kubeconfig });
    const opened = access;
    const id = await asUser(opened, () => readClusterId(opened));
    if (id !== undefined) return { reached: true, side: { access, id } };
    await access.client.close();
    return { reached: false, why: `the cluster of context "${args.from}" has no mesh` };
  } catch (error) {
    await access?.client.close();
    if (error instanceof UserError) return { reached: false, why: error.message };
    throw error;
  }
}
