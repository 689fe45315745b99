import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Container, Pod, PodSpec } from '../api/kubernetes-types.ts';
import { component, proxyEnv, redirectEnv } from '../api/names.ts';
import type { InjectionContext } from './context.ts';
import { injectPod } from './inject-pod.ts';
import { context, namespace, pod } from './testing/fixture.ts';

const REDIRECT: InjectionContext = { ...context, proxyMode: 'redirect' };
const BESIDE = 'config.beta.linkerd.io/proxy-enable-native-sidecar';

function inject(
  annotations: Record<string, string>,
  spec: Partial<PodSpec> = {},
  own = REDIRECT,
): { pod: Pod; spec: PodSpec; sidecar: Container; warnings: string[] } {
  const result = injectPod(pod({ 'isthmus.dev/inject': 'enabled', ...annotations }, spec), namespace(), own);
  assert.ok(result.injected, JSON.stringify(result));
  const injected = result.pod.spec ?? { containers: [] };
  const all = [...(injected.initContainers ?? []), ...injected.containers];
  const sidecar = all.find(({ name }) => name === component.proxy);
  assert.ok(sidecar !== undefined);
  return { pod: result.pod, spec: injected, sidecar, warnings: result.warnings };
}

function names(containers: readonly Container[] | undefined): string[] | undefined {
  return containers?.map(({ name }) => name);
}

function value(container: Container | undefined, name: string): string | undefined {
  return container?.env?.find((variable) => variable.name === name)?.value;
}

const MIGRATE = { initContainers: [{ name: 'migrate' }] };

test('a native sidecar starts before the init containers, which have the mesh, and ends after the app', () => {
  const { spec, sidecar } = inject({}, MIGRATE);
  assert.deepEqual(names(spec.initContainers), [component.redirect, component.proxy, 'migrate']);
  assert.deepEqual(names(spec.containers), ['app']);
  assert.equal(sidecar.restartPolicy, 'Always');
  assert.equal(sidecar.startupProbe?.httpGet?.path, '/ready');
  assert.equal(sidecar.lifecycle, undefined);
});

test('a native sidecar that nobody waits for has no startup probe', () => {
  const { sidecar } = inject({ 'config.linkerd.io/proxy-await': 'disabled' });
  assert.equal(sidecar.startupProbe, undefined);
  assert.equal(sidecar.readinessProbe?.httpGet?.path, '/ready');
});

test('beside the app: init containers run before the rules, the app after the hook of the first container', () => {
  const { spec, sidecar, pod: injected, warnings } = inject({ [BESIDE]: 'false' }, MIGRATE);
  assert.deepEqual(names(spec.initContainers), ['migrate', component.redirect]);
  assert.deepEqual(names(spec.containers), [component.proxy, 'app']);
  assert.equal(sidecar.restartPolicy, undefined);
  assert.equal(sidecar.startupProbe, undefined);
  assert.deepEqual(sidecar.lifecycle, {
    postStart: { exec: { command: ['node', '/isthmus/entrypoint.js', 'await'] } },
  });
  assert.equal(injected.metadata?.annotations?.['kubectl.kubernetes.io/default-container'], 'app');
  assert.deepEqual(warnings, []);
});

test('beside the app without waiting: the sidecar comes last and has no hook', () => {
  const { spec, sidecar } = inject({ [BESIDE]: 'false', 'config.linkerd.io/proxy-await': 'disabled' });
  assert.deepEqual(names(spec.containers), ['app', component.proxy]);
  assert.equal(sidecar.lifecycle, undefined);
});

test('beside the app in explicit mode: init containers are not told of a proxy that is not there yet', () => {
  const { spec, sidecar } = inject({ [BESIDE]: 'false' }, MIGRATE, context);
  assert.deepEqual(spec.initContainers, MIGRATE.initContainers);
  assert.equal(sidecar.lifecycle, undefined);
  const app = spec.containers.find(({ name }) => name === 'app');
  assert.equal(value(app, 'http_proxy'), 'http://$(POD_IP):4140');
});

test('a default container that the user named stays', () => {
  const key = 'kubectl.kubernetes.io/default-container';
  const { pod: injected } = inject({ [BESIDE]: 'false', [key]: 'other' });
  assert.equal(injected.metadata?.annotations?.[key], 'other');
});

test('a Job’s pod whose sidecar would outlive it is told what to do', () => {
  const job = { restartPolicy: 'Never' as const };
  assert.deepEqual(inject({}, job).warnings, []);
  const [without] = inject({ [BESIDE]: 'false' }, job).warnings;
  assert.match(without ?? '', /does not end with its app: proxy-admin-shutdown has to be enabled/);
  const asked = inject({ [BESIDE]: 'false', 'config.linkerd.io/proxy-admin-shutdown': 'enabled' }, job);
  assert.match(asked.warnings[0] ?? '', /POST to \/shutdown/);
  assert.equal(value(asked.sidecar, proxyEnv.adminShutdown), 'true');
});

test('waiting before the end delays SIGTERM; the grace reaches the proxy in seconds', () => {
  const { sidecar } = inject({
    'config.alpha.linkerd.io/proxy-wait-before-exit-seconds': '20',
    'config.linkerd.io/shutdown-grace-period': '1m30s',
  });
  assert.deepEqual(sidecar.lifecycle, { preStop: { exec: { command: ['/bin/sleep', '20'] } } });
  assert.equal(value(sidecar, proxyEnv.shutdownGraceSeconds), '90');
});

test('other ports reach the proxy, its probes, its declared ports and the rules', () => {
  const { spec, sidecar, warnings } = inject({
    'config.linkerd.io/inbound-port': '15001',
    'config.linkerd.io/outbound-port': '15002',
    'config.linkerd.io/admin-port': '15003',
  });
  const [rules] = spec.initContainers ?? [];
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    [proxyEnv.inboundPort, proxyEnv.outboundPort, proxyEnv.adminPort].map((name) => value(sidecar, name)),
    ['15001', '15002', '15003'],
  );
  assert.deepEqual(
    [redirectEnv.inboundPort, redirectEnv.outboundPort, redirectEnv.adminPort].map((name) =>
      value(rules, name),
    ),
    ['15001', '15002', '15003'],
  );
  assert.deepEqual(
    sidecar.ports?.map(({ containerPort }) => containerPort),
    [15_001, 15_003],
  );
  for (const probe of [sidecar.startupProbe, sidecar.readinessProbe, sidecar.livenessProbe])
    assert.equal(probe?.httpGet?.port, 15_003);
});

test('two sidecar ports that are the same are not taken, and an app on one of them is told', () => {
  const same = inject({ 'config.linkerd.io/inbound-port': '4191' });
  assert.equal(value(same.sidecar, proxyEnv.inboundPort), '4143');
  assert.match(same.warnings[0] ?? '', /two of the sidecar’s ports are the same/);
  const taken = inject({}, { containers: [{ name: 'app', ports: [{ containerPort: 4191 }] }] });
  assert.match(taken.warnings[0] ?? '', /port 4191 of container app is the sidecar's own/);
});

test('a request above its limit does not keep the pod from starting', () => {
  const { sidecar, spec, warnings } = inject({
    'config.linkerd.io/proxy-cpu-limit': '5m',
    'config.linkerd.io/proxy-memory-request': '1Gi',
    'config.linkerd.io/proxy-memory-limit': '250Mi',
    'config.linkerd.io/proxy-ephemeral-storage-limit': '64Mi',
  });
  assert.deepEqual(sidecar.resources, {
    requests: { cpu: '5m', memory: '250Mi' },
    limits: { cpu: '5m', memory: '250Mi', 'ephemeral-storage': '64Mi' },
  });
  assert.deepEqual(spec.initContainers?.[0]?.resources, sidecar.resources, 'the QoS class is the sidecar’s');
  assert.deepEqual(warnings, ["the sidecar's memory request 1Gi is above its limit; it gets 250Mi"]);
});

test('image, tag, pull policy and group are those that are asked for, of both containers', () => {
  const { sidecar, spec } = inject({
    'config.isthmus.dev/proxy-version': '9.9.9',
    'config.linkerd.io/image-pull-policy': 'Always',
    'config.linkerd.io/proxy-gid': '1234',
  });
  for (const container of [sidecar, spec.initContainers?.[0]]) {
    assert.equal(container?.image, 'isthmus.dev/isthmus:9.9.9');
    assert.equal(container.imagePullPolicy, 'Always');
  }
  assert.equal(sidecar.securityContext?.['runAsGroup'], 1234);
});
