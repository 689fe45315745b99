import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint } from '../balance/endpoint.ts';
import { defaultRoute } from '../route/outbound-rules.ts';
import { HttpMetrics } from '../telemetry/http-metrics.ts';
import { Registry } from '../telemetry/registry.ts';
import { RouteMetrics } from '../telemetry/route-metrics.ts';
import { TargetMetrics } from './target-metrics.ts';

function setUp() {
  const registry = new Registry();
  const options = {
    registry,
    http: new HttpMetrics(registry),
    routes: new RouteMetrics(registry),
    endpoints: registry.gauge('endpoints', 'help'),
  };
  const ready = (authority: string): number | undefined =>
    [...options.endpoints.cells()].find(
      ({ labels }) => labels === `authority="${authority}",endpoint_state="ready"`,
    )?.value;
  return { ready, of: (authority: string) => new TargetMetrics(authority, options), options };
}

const ONE = endpoint({
  address: '10.0.0.1',
  port: 80,
  dialPort: 80,
  identity: undefined,
  authorityOverride: undefined,
  opaque: false,
  http2: false,
  weight: 1,
  labels: { pod: 'web-1' },
});

test('however a Service is asked for, its series carry its own name', () => {
  const { of, options } = setUp();
  for (const authority of ['web:80', 'web.shop:80', '10.96.0.1:80']) {
    const metrics = of(authority);
    metrics.named('web.shop.svc.cluster.local');
    metrics.unplaced().request();
    metrics.reach(ONE).request();
  }
  assert.deepEqual(
    [...options.http.requests.cells()].map(({ labels, value }) => [labels, value]),
    [
      ['direction="outbound",authority="web.shop.svc.cluster.local:80"', 3],
      [
        'direction="outbound",authority="web.shop.svc.cluster.local:80",target_addr="10.0.0.1:80",target_ip="10.0.0.1",target_port="80",' +
          'tls="no_identity",no_tls_reason="not_provided_by_service_discovery",dst_pod="web-1"',
        3,
      ],
    ],
  );
});

test('what has no name is shown as it was asked for', () => {
  const { of, ready } = setUp();
  const metrics = of('10.0.0.1:80');
  metrics.named('');
  metrics.endpoints(1, 0);
  assert.equal(ready('10.0.0.1:80'), 1);
});

test('targets of one Service share its gauges: each takes back only what is its own', () => {
  const { of, ready } = setUp();
  const [short, long] = [of('web:80'), of('web.shop:80')];
  for (const metrics of [short, long]) metrics.named('web.shop.svc');
  short.endpoints(3, 1);
  long.endpoints(2, 2);
  assert.equal(ready('web.shop.svc:80'), 5);
  short.endpoints(0, 0);
  assert.equal(ready('web.shop.svc:80'), 2);
});

test('requests of a route count by status, or by what ended them, under the Service and the route', () => {
  const { of, options } = setUp();
  const metrics = of('web:80');
  metrics.named('web.shop.svc.cluster.local');
  const labels = { route_group: 'gateway.networking.k8s.io', route_kind: 'HTTPRoute', route_name: 'cart' };
  const cells = metrics.route({ ...defaultRoute(), labels });
  const ok = { status: 200, success: true, latencyMs: 70, grpcStatus: -1, error: '' };
  for (const outcome of [ok, ok, { ...ok, status: 504, success: false, error: 'timeout' }])
    cells.response(outcome);
  of('nowhere.example:80').route(defaultRoute()).response(ok);
  const lines = options.registry.families.flatMap((family) =>
    [...family.cells()].map((cell) => cell.text(family.name)),
  );
  const text = lines.join('');
  const parent =
    'parent_group="core",parent_kind="Service",parent_namespace="shop",parent_name="web",parent_port="80"';
  const route = 'route_group="gateway.networking.k8s.io",route_kind="HTTPRoute",route_name="cart"';
  for (const line of [
    `outbound_http_route_request_statuses_total{${parent},${route},http_status="200"} 2`,
    `outbound_http_route_request_statuses_total{${parent},${route},error="timeout"} 1`,
    `outbound_http_route_request_duration_seconds_bucket{${parent},${route},le="0.05"} 0`,
    `outbound_http_route_request_duration_seconds_bucket{${parent},${route},le="0.5"} 3`,
    'outbound_http_route_request_statuses_total{parent_kind="default",parent_name="nowhere.example:80",route_kind="default",route_name="http",http_status="200"} 1',
  ])
    assert.ok(text.includes(`${line}\n`), line);
});

test('calls of a GRPCRoute count by the status of the call, requests of a ServiceProfile by its older names, too', () => {
  const { of, options } = setUp();
  const metrics = of('web.shop.svc.cluster.local:80');
  const route = (kind: string) =>
    metrics.route({ ...defaultRoute(), labels: { route_kind: kind, route_name: 'cart' } });
  const ok = { status: 200, success: true, latencyMs: 70, grpcStatus: -1, error: '' };
  const call = route('GRPCRoute');
  for (const grpcStatus of [0, 14, 14, -1]) call.response({ ...ok, grpcStatus });
  const profile = route('ServiceProfile');
  for (const status of [200, 503, 503]) profile.response({ ...ok, status, success: status < 500 });
  const text = options.registry.families
    .flatMap((family) => [...family.cells()].map((cell) => cell.text(family.name)))
    .join('');
  const parent =
    'parent_group="core",parent_kind="Service",parent_namespace="shop",parent_name="web",parent_port="80"';
  const grpc = `${parent},route_kind="GRPCRoute",route_name="cart"`;
  const older = 'direction="outbound",dst="web.shop.svc.cluster.local:80",rt_route="cart"';
  for (const line of [
    `outbound_grpc_route_request_statuses_total{${grpc},grpc_status="OK"} 1`,
    `outbound_grpc_route_request_statuses_total{${grpc},grpc_status="UNAVAILABLE"} 2`,
    `outbound_grpc_route_request_statuses_total{${grpc},grpc_status="UNKNOWN"} 1`,
    `outbound_grpc_route_request_duration_seconds_bucket{${grpc},le="0.5"} 4`,
    `outbound_http_route_request_statuses_total{${parent},route_kind="ServiceProfile",route_name="cart",http_status="503"} 2`,
    `route_request_total{${older}} 3`,
    `route_response_total{${older},status_code="503",classification="failure"} 2`,
    `route_response_latency_ms_count{${older},status_code="200"} 1`,
  ])
    assert.ok(text.includes(`${line}\n`), line);
  assert.doesNotMatch(text, /outbound_http_route[^\n]*GRPCRoute/);
});

test('requests that wait are counted, and move to the name that is told meanwhile', () => {
  const { of, options } = setUp();
  const metrics = of('web:80');
  metrics.queued();
  metrics.queue(2);
  metrics.named('web.shop.svc');
  metrics.queue(1);
  const { queueLength, queueRequests } = options.routes;
  assert.deepEqual(
    ['web:80', 'web.shop.svc:80'].map((authority) => queueLength.cell({ authority }).value),
    [0, 1],
  );
  assert.equal(queueRequests.cell({ authority: 'web:80' }).value, 1);
});

test('a Service that gets its name late leaves nothing behind under the old one', () => {
  const { of, ready } = setUp();
  const metrics = of('web:80');
  metrics.endpoints(2, 0);
  metrics.named('web.shop.svc');
  assert.deepEqual([ready('web:80'), ready('web.shop.svc:80')], [0, 2]);
});
