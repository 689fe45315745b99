import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redirectConfig } from './config.ts';
import { iptablesRules, JUMPS } from './iptables.ts';
import { nftablesRules } from './nftables.ts';
import { redirectPlan } from './plan.ts';

const plan = redirectPlan(
  redirectConfig({
    ISTHMUS_REDIRECT_SKIP_INBOUND_PORTS: '22,4189-4190',
    ISTHMUS_REDIRECT_SKIP_OUTBOUND_PORTS: '25',
    ISTHMUS_REDIRECT_SKIP_SUBNETS: '10.0.0.0/8,fd00::/8',
  }),
);

test('nftables: both directions in one transaction; overlapping skips become one range', () => {
  assert.equal(
    nftablesRules(plan),
    `add table inet isthmus
delete table inet isthmus
table inet isthmus {
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
    tcp dport { 22, 4189-4191 } return
    meta l4proto tcp redirect to :4143
  }
  chain outbound {
    type nat hook output priority -100; policy accept;
    meta skuid 2102 return
    oifname "lo" return
    ip daddr 10.0.0.0/8 return
    ip6 daddr fd00::/8 return
    tcp dport { 25, 53, 4190-4191 } return
    meta l4proto tcp redirect to :4140
  }
}
`,
  );
});

test('a sidecar at other ports: the rules lead there, and its admin port is left alone', () => {
  const other = redirectPlan(
    redirectConfig({
      ISTHMUS_REDIRECT_INBOUND_PORT: '15001',
      ISTHMUS_REDIRECT_OUTBOUND_PORT: '15002',
      ISTHMUS_REDIRECT_ADMIN_PORT: '15003',
    }),
  );
  assert.match(nftablesRules(other), /dport \{ 4190-4191, 15003 \} return[^]*redirect to :15001/);
  assert.match(nftablesRules(other), /dport \{ 53, 4190-4191, 15003 \} return[^]*redirect to :15002/);
});

test('iptables: the same rules, each family with its own blocks, and only the jumps that are missing', () => {
  assert.equal(
    iptablesRules(plan, 6, [JUMPS[1]!]),
    `*nat
:ISTHMUS_INBOUND - [0:0]
:ISTHMUS_OUTBOUND - [0:0]
-A ISTHMUS_INBOUND -p tcp --dport 22:22 -j RETURN
-A ISTHMUS_INBOUND -p tcp --dport 4189:4191 -j RETURN
-A ISTHMUS_INBOUND -p tcp -j REDIRECT --to-ports 4143
-A ISTHMUS_OUTBOUND -m owner --uid-owner 2102 -j RETURN
-A ISTHMUS_OUTBOUND -o lo -j RETURN
-A ISTHMUS_OUTBOUND -d fd00::/8 -j RETURN
-A ISTHMUS_OUTBOUND -p tcp --dport 25:25 -j RETURN
-A ISTHMUS_OUTBOUND -p tcp --dport 53:53 -j RETURN
-A ISTHMUS_OUTBOUND -p tcp --dport 4190:4191 -j RETURN
-A ISTHMUS_OUTBOUND -p tcp -j REDIRECT --to-ports 4140
-A OUTPUT -j ISTHMUS_OUTBOUND
COMMIT
`,
  );
  assert.match(iptablesRules(plan, 4, JUMPS), /-d 10\.0\.0\.0\/8[^]*-A PREROUTING -j ISTHMUS_INBOUND\n/);
});
