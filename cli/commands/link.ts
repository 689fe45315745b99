import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { defineCommand } from '../define-command.ts';
import { openCluster } from '../cluster-access.ts';
import { UserError } from '../errors.ts';
import {
  applyLink,
  type LinkPlan,
  type LinkRequest,
  planLink,
  planSourceObjects,
  planTargetObjects,
  tokenOfExistingAccount,
  waitForLink,
} from '../link/link.ts';
import { type GlobalArguments, renderOptions } from '../options.ts';
import { mark, type ObjectFormat, renderObjects, standardOutput, step } from '../output.ts';

interface LinkArguments extends GlobalArguments {
  to: string;
  mutual: boolean;
  wait: boolean;
  apiServerAddress: string | undefined;
  gatewayAddresses: string[] | undefined;
  side: 'source' | 'target' | undefined;
  output: ObjectFormat | undefined;
  dryRun: boolean;
}

/** Printed in the place of a token that only the target's API can give. */
const TOKEN_PLACEHOLDER = 'TOKEN';

export const linkCommand = defineCommand<LinkArguments>({
  command: 'link',
  describe: 'Join two clusters: mirror here what the cluster of context --to exports',
  builder: (yargs) =>
    yargs
      .options({
        to: { type: 'string', demandOption: true, describe: 'Kubeconfig context of the target cluster' },
        mutual: { type: 'boolean', default: false, describe: 'Link both ways' },
        wait: { type: 'boolean', default: true, describe: 'Wait until the link works' },
        'api-server-address': {
          type: 'string',
          describe: "Address of the target's API as the source's pods reach it (default: the kubeconfig's)",
        },
        'gateway-addresses': {
          type: 'array',
          string: true,
          describe: "Fixed addresses of the target's gateway (default: followed from its Service)",
        },
        side: {
          type: 'string',
          choices: ['source', 'target'],
          describe: 'With -o or --dry-run: print only the objects of this cluster',
        },
        ...renderOptions,
      })
      .example('$0 link --context east --to west --mutual', 'Join east and west'),
  handler: async (args) => {
    const near = await openCluster(args);
    const far = await openCluster({ context: args.to, kubeconfig: args.kubeconfig });
    const base = { meshNamespace: args.isthmusNamespace };
    const requests: LinkRequest[] = [
      {
        ...base,
        source: near,
        target: far,
        apiServerAddress: httpsAddress(args.apiServerAddress),
        gatewayAddresses: args.gatewayAddresses,
      },
    ];
    if (args.mutual) requests.push({ ...base, source: far, target: near });
    try {
      const plans: LinkPlan[] = [];
      for (const request of requests) plans.push(await planLink(request));
      if (args.dryRun || args.output !== undefined) await print(plans, args);
      else await make(plans, args.wait);
    } finally {
      await Promise.all([near.client.close(), far.client.close()]);
    }
  },
});

function httpsAddress(address: string | undefined): string | undefined {
  if (address === undefined || address.startsWith('https://')) return address;
  throw new UserError(
    `--api-server-address ${address} is no https address`,
    'Write it as https://HOST:PORT: a link never speaks plain HTTP.',
  );
}

/**
 * The objects of both clusters, or of one side. For the source they hold a real token where the target has the link's
 * account already, and this is no dry run.
 */
async function print(plans: readonly LinkPlan[], args: LinkArguments): Promise<void> {
  const groups: { title: string; objects: KubernetesObject[] }[] = [];
  for (const plan of plans) {
    const { source, target } = plan.request;
    if (args.side !== 'source') {
      const title = `for cluster ${plan.targetId} (context ${target.context})`;
      groups.push({ title, objects: planTargetObjects(plan) });
    }
    if (args.side !== 'target') {
      const token = args.dryRun ? undefined : await tokenOfExistingAccount(plan);
      if (token === undefined) tellPlaceholder(plan);
      const title = `for cluster ${plan.sourceId} (context ${source.context})`;
      groups.push({ title, objects: planSourceObjects(plan, token ?? TOKEN_PLACEHOLDER) });
    }
  }
  if (args.output === 'json') {
    const objects = groups.flatMap((group) => group.objects);
    standardOutput.out(renderObjects(objects, 'json'));
  } else {
    for (const group of groups)
      standardOutput.out(`# ${group.title}\n${renderObjects(group.objects, 'yaml')}`);
  }
}

function tellPlaceholder({ targetId, request }: LinkPlan): void {
  const { target } = request;
  standardOutput.err(
    `${mark('warning', standardOutput.interactive)} the kubeconfig has ${TOKEN_PLACEHOLDER} in the place of a token. For a real one apply the objects for ${targetId} ` +
      `(--side target, context ${target.context}), then run this with -o yaml and without --dry-run.\n`,
  );
}

async function make(plans: readonly LinkPlan[], wait: boolean): Promise<void> {
  for (const plan of plans) {
    const title = `link ${plan.sourceId} to ${plan.targetId}`;
    await step(standardOutput, title, () => applyLink(plan));
  }
  if (!wait) return;
  for (const plan of plans) {
    await step(standardOutput, `${plan.sourceId} sees ${plan.targetId}'s API and gateway`, () =>
      waitForLink(plan),
    );
  }
}
