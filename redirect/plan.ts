import { port } from '../api/names.ts';
import { merged, type PortRange, type RedirectConfig, type Subnet } from './config.ts';

/** What both kinds of rules express. */
export interface RedirectPlan {
  /** Port of the sidecar that new inbound connections come to. */
  readonly inboundPort: number;
  /** Port of the sidecar that the apps' connections come to. */
  readonly outboundPort: number;
  readonly proxyUid: number;
  readonly skipInboundPorts: readonly PortRange[];
  readonly skipOutboundPorts: readonly PortRange[];
  readonly skipSubnets: readonly Subnet[];
}

/** A sidecar's other servers. Probes and scrapes reach them directly, those of this pod and of others. */
const OWN_SERVERS: PortRange = { first: port.tap, last: port.admin };
/** DNS over TCP; over UDP it is not touched at all. */
const DNS: PortRange = { first: 53, last: 53 };

/** Adds what is left alone in every pod to what this one asks for. */
export function redirectPlan(config: RedirectConfig): RedirectPlan {
  const ownServers = [OWN_SERVERS, { first: config.adminPort, last: config.adminPort }];
  return {
    inboundPort: config.inboundPort,
    outboundPort: config.outboundPort,
    proxyUid: config.proxyUid,
    skipInboundPorts: merged([...config.skipInboundPorts, ...ownServers]),
    skipOutboundPorts: merged([...config.skipOutboundPorts, DNS, ...ownServers]),
    skipSubnets: config.skipSubnets,
  };
}
