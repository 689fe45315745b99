import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create } from '@bufbuild/protobuf';

import { type Authz, PortSpecSchema, type Server } from '../api/proto/gen/linkerd/inbound_pb.js';
import { type OutboundPolicy, TrafficSpecSchema } from '../api/proto/gen/linkerd/outbound_pb.js';
import type { Container } from '../api/kubernetes-types.ts';
import { annotation, component } from '../api/names.ts';
import type { Log } from '../kubernetes/log.ts';
import { grpcStatus } from '../workload-identity/index.ts';
import { ipAddress, ipText } from './ip-address.ts';
import { createPolicyService } from './policy-service.ts';
import type { DestinationSettings } from './settings.ts';
import { trimPod } from './workload-pod.ts';
import { namespace, pod, service, settings, testDeps, TestStream } from './testing/fixture.ts';

const WORKLOAD = '{"ns":"shop","pod":"a"}';

function setUp(own: Partial<DestinationSettings> = {}) {
  const deps = testDeps();
  const policy = createPolicyService(deps, { ...settings, clusterNetworks: ['10.0.0.0/8'], ...own });
  deps.views.state.setNamespace('shop', namespace('shop'));
  return {
    ...deps,
    policy,
    state: deps.views.state,
    watchPort: (port: number, workload = WORKLOAD) => {
      const stream = new TestStream<Server>();
      policy.watchPort(create(PortSpecSchema, { workload, port }), stream);
      return stream;
    },
    watchOutbound: (authority: string) => {
      const stream = new TestStream<OutboundPolicy>();
      const target = { case: 'authority', value: authority } as const;
      policy.watchOutbound(create(TrafficSpecSchema, { sourceWorkload: WORKLOAD, target }), stream);
      return stream;
    },
  };
}

/** Who is let in: `anyone 0.0.0.0/0`, `meshed 10.0.0.0/8`. */
function admitted(authorizations: readonly Authz[]): string[] {
  return authorizations.flatMap(({ networks, authentication }) => {
    const permit = authentication?.permit;
    const clients = permit?.case === 'meshTLS' ? permit.value.clients : undefined;
    const anyIdentity =
      clients?.case === 'identities' && clients.value.suffixes.some(({ parts }) => parts.length === 0);
    const who = permit?.case === 'unauthenticated' ? 'anyone' : anyIdentity ? 'meshed' : 'nobody';
    return networks.map(({ net }) => `${who} ${ipText(net?.ip)}/${net?.prefixLen}`);
  });
}

const EVERYWHERE = ['0.0.0.0/0', '0:0:0:0:0:0:0:0/0'];

const policies: [name: string, expected: string[]][] = [
  ['all-unauthenticated', EVERYWHERE.map((net) => `anyone ${net}`)],
  ['all-authenticated', EVERYWHERE.map((net) => `meshed ${net}`)],
  ['cluster-unauthenticated', ['anyone 10.0.0.0/8']],
  ['cluster-authenticated', ['meshed 10.0.0.0/8']],
  ['deny', []],
  ['audit', EVERYWHERE.map((net) => `anyone ${net}`)],
];

for (const [name, expected] of policies) {
  test(`the default policy ${name} lets in ${expected.length === 0 ? 'nobody' : expected.join(', ')}`, () => {
    const { state, policy } = setUp();
    state.setPod(
      'shop/a',
      pod('a', '10.1.0.1', { meta: { annotations: { [annotation.defaultInboundPolicy]: name } } }),
    );
    const server = policy.getPort(create(PortSpecSchema, { workload: WORKLOAD, port: 8080 }));
    assert.deepEqual(admitted(server.authorizations), expected);
    assert.deepEqual(server.labels, { group: '', kind: 'default', name });
    assert.equal(server.protocol?.kind.case, 'detect');
  });
}

test('the pod goes before its namespace, the namespace before the install, and a misspelt name for nothing', () => {
  const { state, watchPort, flush } = setUp({ defaultInboundPolicy: 'deny' });
  const annotated = (value: string) => ({ [annotation.defaultInboundPolicy]: value });
  const stream = watchPort(8080);
  state.setPod('shop/a', pod('a', '10.1.0.1'));
  flush();
  state.setNamespace('shop', namespace('shop', annotated('cluster-authenticated')));
  flush();
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { annotations: annotated('all-authenticated') } }));
  flush();
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { annotations: annotated('all-authentcated') } }));
  flush();
  assert.deepEqual(
    stream.take().map(({ labels }) => labels['name']),
    ['deny', 'cluster-authenticated', 'all-authenticated', 'cluster-authenticated'],
  );
});

const SERVER_OF_WEB = { podSelector: { matchLabels: { app: 'web' } }, accessPolicy: 'audit' };

for (const [case_, own, port] of [
  ['a Server could be for', {}, 8080],
  ['a Server could be for by a name', {}, 'http'],
  ['the default does not let everybody in to', { defaultInboundPolicy: 'all-authenticated' }, undefined],
] as const) {
  test(`a port that ${case_} is closed if its pod is not known in time, and as it should be once it is`, () => {
    const { state, watchPort, flush, advance, policy } = setUp(own);
    if (port !== undefined) {
      const spec = { ...SERVER_OF_WEB, port };
      state.setPolicy('servers', 'shop/s', { metadata: { name: 's', namespace: 'shop' }, spec });
    }
    const [stream, early] = [watchPort(8080), watchPort(8080)];
    assert.throws(() => policy.getPort(create(PortSpecSchema, { workload: WORKLOAD, port: 8080 })), {
      code: grpcStatus.notFound,
    });
    advance(499);
    assert.deepEqual(stream.take(), [], 'nothing is told while the pod may be known at once');
    early.close();
    advance(1);
    const [closed, ...more] = stream.take();
    assert.deepEqual([closed?.authorizations, closed?.labels['name'], more], [[], 'deny', []]);
    state.setPod('shop/a', pod('a', '10.1.0.1'));
    flush();
    assert.deepEqual(
      stream.take().map(({ labels }) => labels['name']),
      [own.defaultInboundPolicy ?? 'all-unauthenticated'],
      'the Server is for other pods',
    );
    assert.deepEqual(early.take(), []);
  });
}

test('of a pod that is known in time nothing else is told before', () => {
  const { state, watchPort, flush, advance } = setUp({ defaultInboundPolicy: 'deny' });
  const stream = watchPort(8080);
  advance(499);
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { annotations: annotatedWith('audit') } }));
  flush();
  advance(1_000);
  assert.deepEqual(
    stream.take().map(({ labels }) => labels['name']),
    ['audit'],
  );
});

test('of an unknown pod whose port nothing closes nothing is told, until a Server could be for it', () => {
  const { state, watchPort, flush, advance } = setUp();
  const stream = watchPort(8080);
  const server = (name: string, port: number) =>
    state.setPolicy('servers', `shop/${name}`, {
      metadata: { name, namespace: 'shop' },
      spec: { ...SERVER_OF_WEB, port },
    });
  server('other', 9090);
  flush();
  advance(10_000);
  assert.deepEqual(stream.take(), []);
  server('one', 8080);
  flush();
  advance(500);
  assert.deepEqual(
    stream.take().map(({ labels }) => labels['name']),
    ['deny'],
  );
});

test('what was told of a pod stays when it is gone: it may still have requests to end', () => {
  const { state, watchPort, flush, advance } = setUp({ defaultInboundPolicy: 'deny' });
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { annotations: annotatedWith('audit') } }));
  const stream = watchPort(8080);
  assert.equal(stream.take().length, 1);
  state.setPod('shop/a', undefined);
  flush();
  advance(1_000);
  assert.deepEqual(stream.take(), []);
});

function annotatedWith(policy: string): Record<string, string> {
  return { [annotation.defaultInboundPolicy]: policy };
}

test('an opaque port is not detected', () => {
  const { watchPort, state, flush } = setUp();
  state.setPod('shop/a', pod('a', '10.1.0.1'));
  assert.equal(watchPort(3306).take()[0]?.protocol?.kind.case, 'opaque');
  const stream = watchPort(8080);
  stream.take();
  state.setPod(
    'shop/a',
    pod('a', '10.1.0.1', { meta: { annotations: { [annotation.opaquePorts]: 'http' } } }),
  );
  flush();
  assert.equal(stream.take()[0]?.protocol?.kind.case, 'opaque');
});

test('under a strict policy exactly the declared probes stay open', () => {
  const { watchPort, state } = setUp({ defaultInboundPolicy: 'deny' });
  const probe = { httpGet: { path: '/healthz', port: 'http' } };
  const app = {
    name: 'app',
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: probe,
    livenessProbe: probe,
  };
  state.setPod('shop/a', pod('a', '10.1.0.1', { spec: { containers: [app] } }));
  const kind = watchPort(8080).take()[0]?.protocol?.kind;
  const routes = kind?.case === 'detect' ? kind.value.httpRoutes : [];
  assert.deepEqual(
    routes.map(({ metadata, authorizations, rules }) => [
      metadata?.kind.value,
      admitted(authorizations),
      rules.flatMap(({ matches }) =>
        matches.map(({ path }) => `${path?.kind.case} ${String(path?.kind.value)}`),
      ),
    ]),
    [
      ['probe', EVERYWHERE.map((net) => `anyone ${net}`), ['exact /healthz']],
      ['deny', [], ['prefix /']],
    ],
  );
  const other = watchPort(9090).take()[0]?.protocol?.kind;
  assert.deepEqual(other?.case === 'detect' && other.value.httpRoutes, []);
});

test('probes of a native sidecar of the app stay open too, by their path alone', () => {
  const { watchPort, state } = setUp({ defaultInboundPolicy: 'deny' });
  const helper: Container = {
    name: 'helper',
    restartPolicy: 'Always',
    livenessProbe: { httpGet: { path: '/live?full=1', port: 7000 } },
  };
  const once: Container = { name: 'once', livenessProbe: { httpGet: { path: '/never', port: 7000 } } };
  const subject = pod('a', '10.1.0.1', {
    spec: { initContainers: [helper, once, { name: component.proxy }] },
  });
  state.setPod('shop/a', trimPod(subject));
  const kind = watchPort(7000).take()[0]?.protocol?.kind;
  const [probe] = kind?.case === 'detect' ? kind.value.httpRoutes : [];
  const paths = probe?.rules.flatMap(({ matches }) => matches.map(({ path }) => path?.kind.value));
  assert.deepEqual(paths, ['/live']);
});

test('our annotation of the default policy goes before Linkerd’s', () => {
  const { watchPort, state } = setUp();
  const annotations = {
    [annotation.isthmusDefaultInboundPolicy]: 'deny',
    [annotation.defaultInboundPolicy]: 'all-unauthenticated',
  };
  state.setPod('shop/a', pod('a', '10.1.0.1', { meta: { annotations } }));
  assert.deepEqual(watchPort(8080).take()[0]?.authorizations, []);
});

test('a workload is told in JSON or as ns:pod; anything else is an invalid argument', () => {
  const { watchPort, state } = setUp();
  state.setPod('shop/a', pod('a', '10.1.0.1'));
  assert.equal(watchPort(8080, 'shop:a').take().length, 1);
  for (const workload of ['', 'a', '{"ns":"shop"}', '{', ':a', 'a:b:c']) {
    assert.throws(() => watchPort(8080, workload), { code: grpcStatus.invalidArgument });
  }
  assert.throws(() => watchPort(0), { code: grpcStatus.invalidArgument });
});

test("the default outbound policy's only backend is the Service itself", () => {
  const { state, watchOutbound } = setUp();
  state.setService('shop/web', service('web'));
  const [policy] = watchOutbound('web:80').take();
  const kind = policy?.protocol?.kind;
  assert.equal(kind?.case, 'detect');
  const detect = kind.value;
  assert.equal(detect.timeout?.seconds, 10n);
  const distributions = [
    detect.opaque?.routes[0]?.rules[0]?.backends?.kind,
    detect.http1?.routes[0]?.rules[0]?.backends?.kind,
    detect.http2?.routes[0]?.rules[0]?.backends?.kind,
  ];
  for (const distribution of distributions) {
    assert.equal(distribution?.case, 'firstAvailable');
    const backend =
      distribution?.case === 'firstAvailable' ? distribution.value.backends[0]?.backend : undefined;
    assert.equal(backend?.queue?.capacity, 10_000);
    assert.equal(backend.queue.failfastTimeout?.seconds, 3n);
    const balancer = backend.kind.case === 'balancer' ? backend.kind.value : undefined;
    assert.equal(balancer?.discovery?.kind.value?.path, 'web.shop.svc.cluster.local:80');
    assert.equal(balancer.load.value?.defaultRtt?.nanos, 30_000_000);
    assert.equal(balancer.load.value.decay?.seconds, 10n);
  }
});

test('annotations of the Service become timeouts, retries, accrual and the penalty', () => {
  const { state, watchOutbound } = setUp();
  const annotations = {
    'timeout.linkerd.io/request': '3s',
    'timeout.linkerd.io/idle': '500ms',
    'retry.linkerd.io/http': '5xx, 429',
    'retry.linkerd.io/grpc': 'unavailable,internal',
    'retry.linkerd.io/limit': '2',
    'retry.linkerd.io/timeout': '200ms',
    'balancer.linkerd.io/failure-accrual': 'unified',
    'balancer.linkerd.io/failure-accrual-consecutive-max-failures': '3',
    'balancer.alpha.linkerd.io/penalize-failures': 'true',
    'config.isthmus.dev/allow-l5d-request-headers': 'true',
  };
  state.setService('shop/web', service('web', undefined, { annotations }));
  const kind = watchOutbound('web:80').take()[0]?.protocol?.kind;
  assert.equal(kind?.case, 'detect');
  for (const http of [kind.value.http1, kind.value.http2]) {
    const rule = http?.routes[0]?.rules[0];
    assert.equal(rule?.timeouts?.request?.seconds, 3n);
    assert.equal(rule.timeouts.response, undefined);
    assert.equal(rule.timeouts.idle?.nanos, 500_000_000);
    assert.equal(rule.retry?.maxRetries, 2);
    assert.equal(rule.retry.timeout?.nanos, 200_000_000);
    const { statusRanges = [], grpcCodes = [] } = rule.retry.conditions ?? {};
    assert.deepEqual(
      statusRanges.map(({ start, end }) => [start, end]),
      [
        [500, 599],
        [429, 429],
      ],
    );
    assert.deepEqual(grpcCodes, [14, 13]);
    assert.equal(rule.allowL5dRequestHeaders, true);
    const accrual = http?.failureAccrual?.kind;
    assert.equal(accrual?.case === 'unified' && accrual.value.maxConsecutiveFailures, 3);
    assert.equal(accrual?.case === 'unified' && accrual.value.successRateThreshold, 0.8);
    const backends = rule.backends?.kind;
    const backend = backends?.case === 'firstAvailable' ? backends.value.backends[0]?.backend : undefined;
    const load = backend?.kind.case === 'balancer' ? backend.kind.value.load : undefined;
    assert.equal(load?.case === 'penaltyPeakEwma' && load.value.penalty?.seconds, 5n);
  }
});

test('an annotation that means nothing counts as absent, and is told with what it must be', () => {
  const told: unknown[] = [];
  const deps = testDeps();
  const warn = (fields: object): void => void told.push(fields);
  const logger = { debug() {}, info() {}, error() {}, warn } as unknown as Log;
  const policy = createPolicyService(deps, settings, logger);
  const annotations = { 'timeout.linkerd.io/request': '3', 'retry.linkerd.io/http': '700,503' };
  deps.views.state.setService('shop/web', service('web', undefined, { annotations }));
  const stream = new TestStream<OutboundPolicy>();
  const target = { case: 'authority', value: 'web:80' } as const;
  policy.watchOutbound(create(TrafficSpecSchema, { sourceWorkload: WORKLOAD, target }), stream);
  const kind = stream.take()[0]?.protocol?.kind;
  const rule = kind?.case === 'detect' ? kind.value.http1?.routes[0]?.rules[0] : undefined;
  assert.equal(rule?.timeouts, undefined);
  assert.deepEqual(
    rule?.retry?.conditions?.statusRanges.map(({ start }) => start),
    [503],
  );
  assert.deepEqual(told, [
    {
      namespace: 'shop',
      service: 'web',
      problems: [
        'timeout.linkerd.io/request is "3": it must be a duration such as 300ms or 5s',
        'retry.linkerd.io/http is "700": it must be statuses such as 5xx, gateway-error, 503, 500-504',
      ],
    },
  ]);
});

test('an address finds the policy of the Service that has it', () => {
  const { state, policy } = setUp();
  state.setService('shop/web', service('web'));
  const target = { case: 'addr', value: { ip: ipAddress('10.0.0.10'), port: 80 } } as const;
  const { metadata } = policy.getOutbound(create(TrafficSpecSchema, { sourceWorkload: WORKLOAD, target }));
  assert.equal(metadata?.kind.case === 'resource' && metadata.kind.value.name, 'web');
});

test('what is no Service has no policy: NotFound, after which a proxy follows the profile', () => {
  const { state, policy, watchOutbound, flush } = setUp();
  const target = { case: 'addr', value: { ip: ipAddress('10.1.0.1'), port: 80 } } as const;
  const spec = create(TrafficSpecSchema, { sourceWorkload: WORKLOAD, target });
  assert.throws(() => policy.getOutbound(spec), { code: grpcStatus.notFound });
  assert.throws(() => watchOutbound('www.example.com:80'), { code: grpcStatus.notFound });
  assert.deepEqual(watchOutbound('web:80').codes, [grpcStatus.notFound]);
  state.setService('shop/web', service('web'));
  const stream = watchOutbound('web:80');
  assert.deepEqual(stream.codes, []);
  state.setService('shop/web', undefined);
  flush();
  assert.deepEqual(stream.codes, [grpcStatus.notFound]);
  assert.throws(() => policy.getOutbound(create(TrafficSpecSchema, {})), {
    code: grpcStatus.invalidArgument,
  });
});
