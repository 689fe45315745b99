import type { Options } from 'yargs';
import { DEFAULT_INBOUND_POLICIES } from '../../api/default-policies.ts';
import { GATEWAY_SERVICE_TYPES, LOG_LEVELS, PROXY_MODES } from './values.ts';
import { type GivenValues, valuesFromFile, valuesFromSet } from './asked-values.ts';

/** Flags of `install` and `upgrade` that choose values; what they leave out stays as it is. */
export const valueOptions = {
  ha: {
    type: 'boolean',
    describe:
      'High availability: three replicas on different nodes, disruption budgets, no pod without its sidecar',
  },
  set: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [],
    describe: 'Set a value, key=value; may be given several times (docs/values.md lists them)',
  },
  values: {
    type: 'string',
    array: true,
    nargs: 1,
    default: [],
    describe: 'YAML file of values; flags and --set win over it',
  },
  'default-inbound-policy': {
    type: 'string',
    choices: DEFAULT_INBOUND_POLICIES,
    describe: 'What sidecars let in where no policy says otherwise',
  },
  'gateway-replicas': { type: 'string', describe: 'Replicas of the gateway' },
  'gateway-service-type': {
    type: 'string',
    choices: GATEWAY_SERVICE_TYPES,
    describe: 'How the gateway is reached from outside (default: LoadBalancer)',
  },
  'log-level': { type: 'string', choices: LOG_LEVELS, describe: 'Log level of the components' },
  'adopt-linkerd': {
    type: 'boolean',
    describe: "Heed Linkerd's inject annotations although a Linkerd control plane is in the cluster",
  },
  'proxy-mode': {
    type: 'string',
    choices: PROXY_MODES,
    describe:
      "How traffic reaches the sidecar (default: redirect; explicit, by the apps' proxy variables, in an embedded cluster)",
  },
} as const satisfies Record<string, Options>;

/** What the flags above come to. */
export interface ValueArguments {
  ha: boolean | undefined;
  set: string[];
  values: string[];
  defaultInboundPolicy: string | undefined;
  gatewayReplicas: string | undefined;
  gatewayServiceType: string | undefined;
  logLevel: string | undefined;
  adoptLinkerd: boolean | undefined;
  proxyMode: string | undefined;
}

/** The values that were given: files first, in their order, then flags, then `--set`. Throws a UserError for what is none. */
export async function givenValues(args: ValueArguments): Promise<GivenValues> {
  const files = await Promise.all(args.values.map(valuesFromFile));
  const flags: [path: string, value: string | boolean | undefined][] = [
    ['highAvailability', args.ha],
    ['defaultInboundPolicy', args.defaultInboundPolicy],
    ['gateway.replicas', args.gatewayReplicas],
    ['gateway.serviceType', args.gatewayServiceType],
    ['logLevel', args.logLevel],
    ['adoptLinkerd', args.adoptLinkerd],
    ['proxyMode', args.proxyMode],
  ];
  const assignments = flags.flatMap(([path, value]) => (value === undefined ? [] : [`${path}=${value}`]));
  return Object.assign({}, ...files, valuesFromSet([...assignments, ...args.set])) as GivenValues;
}
