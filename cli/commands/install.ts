import { DEFAULT_CLUSTER_DOMAIN, DEFAULT_TRUST_DOMAIN } from '../../api/names.ts';
import { openCluster } from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { UserError } from '../errors.ts';
import { install, renderInstallation, trustFolder } from '../install/install.ts';
import {
  type AskedValues,
  INBOUND_POLICIES,
  type InboundPolicy,
  installValues,
  PROXY_MODES,
  type ProxyMode,
} from '../install/values.ts';
import { type GlobalArguments, renderOptions } from '../options.ts';
import { type ObjectFormat, renderObjects, standardOutput } from '../output.ts';

interface InstallArguments extends GlobalArguments {
  clusterName: string;
  trust: string | undefined;
  trustDomain: string;
  clusterDomain: string;
  defaultInboundPolicy: InboundPolicy;
  gatewayReplicas: number;
  logLevel: string;
  adoptLinkerd: boolean;
  proxyMode: ProxyMode | undefined;
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
        'trust-domain': { type: 'string', default: DEFAULT_TRUST_DOMAIN, describe: 'SPIFFE trust domain' },
        'cluster-domain': {
          type: 'string',
          default: DEFAULT_CLUSTER_DOMAIN,
          describe: 'DNS domain of the cluster',
        },
        'default-inbound-policy': {
          type: 'string',
          choices: INBOUND_POLICIES,
          default: 'all-unauthenticated',
          describe: 'What sidecars let in where no policy says otherwise',
        },
        'gateway-replicas': {
          type: 'number',
          default: 1,
          coerce: atLeastOne,
          describe: 'Replicas of the gateway',
        },
        'log-level': {
          type: 'string',
          choices: ['debug', 'info', 'warn', 'error'],
          default: 'info',
          describe: 'Log level of the components',
        },
        'adopt-linkerd': {
          type: 'boolean',
          default: false,
          describe: "Heed Linkerd's inject annotations although a Linkerd control plane is in the cluster",
        },
        'proxy-mode': {
          type: 'string',
          choices: PROXY_MODES,
          describe:
            "How traffic reaches the sidecar (default: redirect; explicit, by the apps' proxy variables, in an embedded cluster)",
        },
        ...renderOptions,
      })
      .example(
        '$0 install --context east --cluster-name east --trust ./trust',
        'Install with a shared trust anchor',
      ),
  handler: async (args) => {
    const asked = askedValues(args);
    const trustDir = await trustFolder(args.trust, args.trustDomain, standardOutput);
    if (args.dryRun || args.output !== undefined) {
      const values = installValues(asked, { embedded: false });
      standardOutput.out(renderObjects(await renderInstallation(values, trustDir), args.output ?? 'yaml'));
      return;
    }
    const cluster = await openCluster(args);
    try {
      await install(cluster, asked, trustDir, standardOutput);
    } finally {
      await cluster.client.close();
    }
  },
});

function atLeastOne(replicas: number): number {
  if (Number.isInteger(replicas) && replicas >= 1) return replicas;
  throw new UserError(`--gateway-replicas ${replicas} is no number of replicas`, 'Use 1 or more.');
}

function askedValues(args: InstallArguments): AskedValues {
  const { clusterName, clusterDomain, trustDomain, defaultInboundPolicy, gatewayReplicas, logLevel } = args;
  const { adoptLinkerd, proxyMode } = args;
  return {
    clusterName,
    meshNamespace: args.isthmusNamespace,
    clusterDomain,
    trustDomain,
    defaultInboundPolicy,
    gatewayReplicas,
    logLevel,
    adoptLinkerd,
    ...(proxyMode === undefined ? {} : { proxyMode }),
  };
}
