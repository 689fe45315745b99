import type { PortRange } from './config.ts';
import type { RedirectPlan } from './plan.ts';

/** Table that holds all of ours, and nothing else. */
const TABLE = 'inet isthmus';

/**
 * Input of `nft -f -` that makes the rules, in one transaction: whatever the table held is gone with it, so a second
 * run changes nothing. NAT chains see the first packet of a connection only. The priorities are those of Kubernetes'
 * own DNAT, in a network namespace that has none.
 */
export function nftablesRules(plan: RedirectPlan): string {
  return [
    // Deleting a table that is absent would be an error.
    `add table ${TABLE}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    ...chain('inbound', 'prerouting', [
      ...skipPorts(plan.skipInboundPorts),
      `meta l4proto tcp redirect to :${plan.inboundPort}`,
    ]),
    ...chain('outbound', 'output', [
      // The sidecar's own connections would come back to it without end.
      `meta skuid ${plan.proxyUid} return`,
      'oifname "lo" return',
      ...plan.skipSubnets.map(({ family, text }) => `${family === 4 ? 'ip' : 'ip6'} daddr ${text} return`),
      ...skipPorts(plan.skipOutboundPorts),
      `meta l4proto tcp redirect to :${plan.outboundPort}`,
    ]),
    '}',
    '',
  ].join('\n');
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [
    `  chain ${name} {`,
    `    type nat hook ${hook} priority -100; policy accept;`,
    ...rules.map((rule) => `    ${rule}`),
    '  }',
  ];
}

function skipPorts(ranges: readonly PortRange[]): string[] {
  if (ranges.length === 0) return [];
  const elements = ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return [`tcp dport { ${elements.join(', ')} } return`];
}
