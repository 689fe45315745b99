import assert from 'node:assert/strict';
import { test } from 'node:test';
import { telemetryEnv } from '../api/names.ts';
import { proxyConfig } from './annotations.ts';
import type { SidecarTelemetry } from './context.ts';
import { sidecarTelemetry } from './sidecar-telemetry.ts';

function env(annotations: Record<string, string>, installed: SidecarTelemetry = {}): Record<string, string> {
  const { config } = proxyConfig({ annotations }, undefined);
  const list = sidecarTelemetry(config, installed, 'shop');
  return Object.fromEntries(list.map(({ name, value }) => [name, value ?? '']));
}

const INSTALLED: SidecarTelemetry = {
  accessLog: 'apache',
  traceCollector: 'otel.tracing.svc:4318',
  traceCollectorIdentity: 'tracing/otel',
  traceSampling: '0.5',
};

test('nothing is told where nobody asks for it', () => {
  assert.deepEqual(env({}), {});
  assert.deepEqual(env({}, { accessLog: 'none', traceSampling: '0.01' }), {});
});

test('what the install says holds, and a pod can do without', () => {
  const installed = {
    [telemetryEnv.accessLog]: 'apache',
    [telemetryEnv.traceCollector]: 'otel.tracing.svc:4318',
    [telemetryEnv.traceCollectorIdentity]: 'tracing/otel',
    [telemetryEnv.traceSampling]: '0.5',
  };
  assert.deepEqual(env({}, INSTALLED), installed);
  const none = { 'config.linkerd.io/access-log': 'none', 'config.linkerd.io/trace-collector': 'none' };
  assert.deepEqual(env(none, INSTALLED), {});
});

test("a collector of the pod's own is asked for its own identity, never for the install's", () => {
  const identity = (annotations: Record<string, string>): string | undefined =>
    env(annotations, INSTALLED)[telemetryEnv.traceCollectorIdentity];
  const collector = (at: string) => ({ 'config.linkerd.io/trace-collector': at });
  const account = { 'config.alpha.linkerd.io/trace-collector-service-account': 'jaeger' };
  assert.equal(identity(collector('jaeger.obs:4318')), undefined);
  assert.equal(identity({ ...collector('jaeger.obs.svc.cluster.local:4318'), ...account }), 'obs/jaeger');
  assert.equal(identity({ ...collector('jaeger:4318'), ...account }), 'shop/jaeger');
  assert.equal(identity({ ...collector('10.0.0.7:4318'), ...account }), 'shop/jaeger');
  const named = { 'config.isthmus.dev/trace-collector-service-account': 'ops/jaeger' };
  assert.equal(identity({ ...collector('jaeger.obs:4318'), ...named }), 'ops/jaeger');
});

test('what cannot be read is left out with a warning', () => {
  const { config, warnings } = proxyConfig(
    {
      annotations: {
        'config.linkerd.io/access-log': 'xml',
        'config.linkerd.io/trace-collector': 'http://otel:4318/v1/traces',
        'config.isthmus.dev/trace-sampling': '1.5',
      },
    },
    undefined,
  );
  assert.deepEqual(config, {});
  assert.equal(warnings.length, 3);
});
