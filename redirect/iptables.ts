import type { PortRange } from './config.ts';
import type { RedirectPlan } from './plan.ts';

const INBOUND = 'ISTHMUS_INBOUND';
const OUTBOUND = 'ISTHMUS_OUTBOUND';

/** How a built-in chain leads to ours, as arguments behind `-A` or `-C`. */
export const JUMPS: readonly (readonly string[])[] = [
  ['PREROUTING', '-j', INBOUND],
  ['OUTPUT', '-j', OUTBOUND],
];

/**
 * Input of `iptables-restore --noflush` (`family` 4) or `ip6tables-restore` (6). Naming our chains empties them, so a second run changes nothing.
 * @param missing those of `JUMPS` that the table has not
 */
export function iptablesRules(
  plan: RedirectPlan,
  family: 4 | 6,
  missing: readonly (readonly string[])[],
): string {
  const subnets = plan.skipSubnets.filter((subnet) => subnet.family === family);
  return [
    '*nat',
    `:${INBOUND} - [0:0]`,
    `:${OUTBOUND} - [0:0]`,
    ...skipPorts(INBOUND, plan.skipInboundPorts),
    `-A ${INBOUND} -p tcp -j REDIRECT --to-ports ${plan.inboundPort}`,
    `-A ${OUTBOUND} -m owner --uid-owner ${plan.proxyUid} -j RETURN`,
    `-A ${OUTBOUND} -o lo -j RETURN`,
    ...subnets.map(({ text }) => `-A ${OUTBOUND} -d ${text} -j RETURN`),
    ...skipPorts(OUTBOUND, plan.skipOutboundPorts),
    `-A ${OUTBOUND} -p tcp -j REDIRECT --to-ports ${plan.outboundPort}`,
    ...missing.map((jump) => `-A ${jump.join(' ')}`),
    'COMMIT',
    '',
  ].join('\n');
}

/** One rule a range: the multiport match takes 15 ports. */
function skipPorts(chain: string, ranges: readonly PortRange[]): string[] {
  return ranges.map(({ first, last }) => `-A ${chain} -p tcp --dport ${first}:${last} -j RETURN`);
}
