import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { merged, redirectConfig } from './config.ts';

test('without any variable nothing is skipped, and the proxy has its usual user id', () => {
  assert.deepEqual(redirectConfig({}), {
    proxyUid: 2102,
    inboundPort: 4143,
    outboundPort: 4140,
    adminPort: 4191,
    skipInboundPorts: [],
    skipOutboundPorts: [],
    skipSubnets: [],
  });
});

test('ports, ranges and blocks of both families are read, blanks and empty parts apart', () => {
  const config = redirectConfig({
    ISTHMUS_REDIRECT_PROXY_UID: '1500',
    ISTHMUS_REDIRECT_INBOUND_PORT: '15001',
    ISTHMUS_REDIRECT_OUTBOUND_PORT: '15002',
    ISTHMUS_REDIRECT_ADMIN_PORT: '15003',
    ISTHMUS_REDIRECT_SKIP_INBOUND_PORTS: ' 22, 8000-8010,,',
    ISTHMUS_REDIRECT_SKIP_OUTBOUND_PORTS: '25',
    ISTHMUS_REDIRECT_SKIP_SUBNETS: '10.0.0.0/8, fd00::/8',
  });
  assert.deepEqual(config, {
    proxyUid: 1500,
    inboundPort: 15_001,
    outboundPort: 15_002,
    adminPort: 15_003,
    skipInboundPorts: [
      { first: 22, last: 22 },
      { first: 8000, last: 8010 },
    ],
    skipOutboundPorts: [{ first: 25, last: 25 }],
    skipSubnets: [
      { family: 4, text: '10.0.0.0/8' },
      { family: 6, text: 'fd00::/8' },
    ],
  });
});

test('everything that cannot be used is named in one error', () => {
  const bad = {
    // Root is what most images' apps run as.
    ISTHMUS_REDIRECT_PROXY_UID: '0',
    ISTHMUS_REDIRECT_INBOUND_PORT: '1-2',
    ISTHMUS_REDIRECT_SKIP_INBOUND_PORTS: '0,80',
    ISTHMUS_REDIRECT_SKIP_OUTBOUND_PORTS: '90-80',
    ISTHMUS_REDIRECT_SKIP_SUBNETS: '10.0.0.0/33,fd00::; drop',
  };
  assert.throws(() => redirectConfig(bad), {
    message: [
      'the configuration is not usable:',
      '  ISTHMUS_REDIRECT_PROXY_UID is "0": it must be a user id above 0',
      '  ISTHMUS_REDIRECT_INBOUND_PORT is "1-2": it must be a port',
      '  ISTHMUS_REDIRECT_SKIP_INBOUND_PORTS is "0": it must be a list of ports and ranges such as 25,3306-3310',
      '  ISTHMUS_REDIRECT_SKIP_OUTBOUND_PORTS is "90-80": it must be a list of ports and ranges such as 25,3306-3310',
      '  ISTHMUS_REDIRECT_SKIP_SUBNETS is "10.0.0.0/33": it must be a list of address blocks such as 10.0.0.0/8',
      '  ISTHMUS_REDIRECT_SKIP_SUBNETS is "fd00::; drop": it must be a list of address blocks such as 10.0.0.0/8',
    ].join('\n'),
  });
});

test('merged ranges hold the same ports, in order, with a gap between any two', () => {
  const port = fc.integer({ min: 1, max: 60 });
  const range = fc.tuple(port, port).map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }));
  const expand = (ranges: readonly { first: number; last: number }[]): Set<number> => {
    const ports = new Set<number>();
    for (const { first, last } of ranges) for (let p = first; p <= last; p++) ports.add(p);
    return ports;
  };
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
      const result = merged(ranges);
      assert.deepEqual(expand(result), expand(ranges));
      for (const [i, { first }] of result.entries()) {
        if (i > 0) assert.ok(first > result[i - 1]!.last + 1);
      }
    }),
  );
});
