import { defineCommand } from '../define-command.ts';
import type { Link } from '../../api/isthmus-types.ts';
import { resources } from '../../kubernetes/resources.ts';
import { asUser, openCluster } from '../cluster-access.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput, table } from '../output.ts';

interface GatewaysArguments extends GlobalArguments {
  output: string | undefined;
}

export const gatewaysCommand = defineCommand<GatewaysArguments>({
  command: 'gateways',
  describe: 'Show the gateways of the linked clusters',
  builder: (yargs) =>
    yargs.options({
      output: { alias: 'o', type: 'string', choices: ['table', 'json'], describe: 'Format of the output' },
    }),
  handler: async (args) => {
    const cluster = await openCluster(args);
    try {
      const links = await asUser(cluster, () =>
        cluster.client.list(resources.links, { namespace: args.isthmusNamespace }),
      );
      const rows = links.items.map(gatewayRow);
      if (args.output === 'json') standardOutput.out(`${JSON.stringify(rows, null, 2)}\n`);
      else if (rows.length === 0) standardOutput.err('No links. Join a cluster with `isthmus link`.\n');
      else standardOutput.out(gatewayTable(rows));
    } finally {
      await cluster.client.close();
    }
  },
});

interface GatewayRow {
  clusterName: string;
  alive: boolean;
  numServices: number;
  latencyMs: number | null;
  addresses: string[];
}

function gatewayRow(link: Link): GatewayRow {
  const { conditions = [], mirrorServices = [], gateway } = link.status ?? {};
  return {
    clusterName: link.spec.targetClusterName,
    alive: conditions.some((c) => c.type === 'GatewayAlive' && c.status === 'True'),
    numServices: mirrorServices.filter((s) => s.mirrored).length,
    latencyMs: gateway?.latencyMs ?? null,
    addresses: gateway?.addresses ?? [],
  };
}

/** Linkerd's columns, and the addresses. */
function gatewayTable(rows: readonly GatewayRow[]): string {
  return table(
    ['CLUSTER', 'ALIVE', 'NUM_SVC', 'LATENCY', 'ADDRESSES'],
    rows.map((row) => [
      row.clusterName,
      row.alive ? 'True' : 'False',
      String(row.numServices),
      row.latencyMs === null ? '-' : `${Math.round(row.latencyMs)}ms`,
      row.addresses.join(',') || '-',
    ]),
  );
}
