import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayConfig, proxyConfig } from './config.ts';
import { ConfigError } from './environment-reader.ts';

const GOOD = {
  POD_NAME: 'web-1',
  POD_NAMESPACE: 'shop',
  POD_IP: '127.9.8.7',
  SERVICE_ACCOUNT: 'web',
  ISTHMUS_CLUSTER_NAME: 'east',
};

function problems(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    proxyConfig(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

test('the least environment gives the defaults', () => {
  const config = proxyConfig(GOOD);
  assert.equal(config.mode, 'explicit');
  assert.equal(config.defaultPolicy, 'all-unauthenticated');
  assert.equal(config.destinationAddress, 'isthmus-destination.isthmus.svc.cluster.local:8086');
  assert.equal(config.times.graceMs, 30_000);
  assert.ok(config.opaquePorts.has(3306));
  assert.ok(config.clusterNetworks.some((block) => block.contains('10.1.2.3')));
  assert.ok(!config.clusterNetworks.some((block) => block.contains('8.8.8.8')));
  assert.equal(gatewayConfig(GOOD).workload.clusterId, 'east');
});

test('a time of detection of 0 is one without end, and only an ingress controller goes by overrides', () => {
  const endless = { ISTHMUS_PROXY_INBOUND_DETECT_TIMEOUT_MS: '0' };
  const { times, ingress } = proxyConfig({ ...GOOD, ...endless, ISTHMUS_PROXY_INGRESS: 'true' });
  assert.deepEqual([times.inboundDetectMs, times.outboundDetectMs, ingress], [86_400_000, 10_000, true]);
  assert.equal(proxyConfig(GOOD).ingress, false);
});

test('everything that is missing is told at once, by name', () => {
  const told = problems({}).join('\n');
  for (const name of Object.keys(GOOD)) assert.match(told, new RegExp(`^${name} is not set`, 'm'));
});

test('probes are ports with paths, of which a port may have several', () => {
  const { probes } = proxyConfig({
    ...GOOD,
    ISTHMUS_PROXY_INBOUND_PROBES: '8080/healthz 8080/a,b 81/',
  });
  assert.deepEqual(
    [...probes],
    [
      [8080, ['/healthz', '/a,b']],
      [81, ['/']],
    ],
  );
  assert.equal(proxyConfig(GOOD).probes.size, 0);
});

const WRONG: [string, string, RegExp][] = [
  ['POD_IP', 'web', /POD_IP is "web": it must be an IP address/],
  ['ISTHMUS_PROXY_MODE', 'magic', /ISTHMUS_PROXY_MODE is "magic": it must be one of explicit/],
  ['ISTHMUS_PROXY_DEFAULT_INBOUND_POLICY', 'x', /it must be one of all-unauthenticated, .*deny/],
  [
    'ISTHMUS_PROXY_CLUSTER_NETWORKS',
    '10.0.0.0/8,10.0.0.0/33',
    /"10\.0\.0\.0\/33": it must be a list of address/,
  ],
  ['ISTHMUS_PROXY_OPAQUE_PORTS', '25,70000', /"70000": it must be a list of ports/],
  ['ISTHMUS_PROXY_OPAQUE_PORTS', '9-5', /"9-5": it must be a list of ports/],
  ['ISTHMUS_PROXY_INBOUND_PROBES', '/healthz', /"\/healthz": it must be a list of ports with paths/],
  ['ISTHMUS_PROXY_INBOUND_PROBES', '8080', /"8080": it must be a list of ports with paths/],
  ['ISTHMUS_PROXY_SHUTDOWN_GRACE_SECONDS', '-1', /it must be a number of seconds/],
  ['ISTHMUS_POLICY_ADDR', 'policy', /ISTHMUS_POLICY_ADDR is "policy": it must be host:port/],
  ['ISTHMUS_IDENTITY_ADDR', 'identity', /ISTHMUS_IDENTITY_ADDR/],
  ['ISTHMUS_ACCESS_LOG', 'xml', /it must be one of json, apache, none/],
  ['ISTHMUS_LOG_LEVEL', 'loud', /it must be one of trace/],
];

for (const [name, value, message] of WRONG) {
  test(`${name}=${value} is refused with what it must be`, () => {
    assert.match(problems({ ...GOOD, [name]: value }).join('\n'), message);
  });
}

const TRACES: [string, string, RegExp][] = [
  ['ISTHMUS_TRACE_COLLECTOR', 'otel', /ISTHMUS_TRACE_COLLECTOR is "otel": it must be host:port/],
  ['ISTHMUS_TRACE_COLLECTOR_IDENTITY', 'otel', /it must be namespace\/serviceaccount/],
  ['ISTHMUS_TRACE_SAMPLING', '1.5', /it must be a number from 0 to 1/],
];

for (const [name, value, message] of TRACES) {
  test(`with a collector ${name}=${value} is refused with what it must be`, () => {
    const env = { ...GOOD, ISTHMUS_TRACE_COLLECTOR: 'otel.tracing:4318', [name]: value };
    assert.match(problems(env).join('\n'), message);
  });
}

test('the access log and traces are off until they are asked for', () => {
  const { accessLog, traces } = gatewayConfig(GOOD);
  assert.deepEqual([accessLog, traces], [undefined, undefined]);
  const on = { ...GOOD, ISTHMUS_ACCESS_LOG: 'json', ISTHMUS_TRACE_COLLECTOR: 'otel.tracing:4318' };
  assert.deepEqual(proxyConfig(on).accessLog, { format: 'json', file: 'stderr' });
  assert.deepEqual(proxyConfig(on).traces, {
    collector: 'otel.tracing:4318',
    identity: undefined,
    sampling: 0.01,
    serviceName: 'web',
  });
  const mesh = { ...on, ISTHMUS_TRACE_COLLECTOR_IDENTITY: 'tracing/otel', ISTHMUS_TRACE_SAMPLING: '0' };
  const { identity, sampling } = proxyConfig(mesh).traces ?? {};
  assert.deepEqual([identity, sampling], [{ namespace: 'tracing', serviceAccount: 'otel' }, 0]);
});

test('port ranges', () => {
  const { opaquePorts } = proxyConfig({ ...GOOD, ISTHMUS_PROXY_OPAQUE_PORTS: '1-3, 25' });
  assert.deepEqual([...opaquePorts], [1, 2, 3, 25]);
});
