import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { Container, EnvVar, Pod } from '../api/kubernetes-types.ts';
import { component, env, object, path, proxyEnv, redirectEnv } from '../api/names.ts';
import { injectPod } from './inject-pod.ts';
import { applyPatch, context, namespace, pod } from './testing/fixture.ts';

const ASKED = { 'isthmus.dev/inject': 'enabled' };

function inject(
  subject: Pod,
  own = context,
  where = namespace(),
): { pod: Pod; sidecar: Container; warnings: string[] } {
  const result = injectPod(subject, where, own);
  assert.ok(result.injected, JSON.stringify(result));
  const patched = applyPatch(subject, result.patch);
  assert.deepEqual(patched, result.pod);
  const sidecar = patched.spec?.initContainers?.find(({ name }) => name === component.proxy);
  assert.ok(sidecar !== undefined);
  return { pod: patched, sidecar, warnings: result.warnings };
}

function value(container: Container | undefined, name: string): string | undefined {
  return container?.env?.find((variable) => variable.name === name)?.value;
}

test('the sidecar is a native one, before all other init containers', () => {
  const { pod: injected, sidecar } = inject(pod(ASKED, { initContainers: [{ name: 'migrate' }] }));
  assert.equal(sidecar.restartPolicy, 'Always');
  assert.deepEqual(sidecar.args, ['proxy']);
  assert.equal(sidecar.image, 'isthmus.dev/isthmus:test');
  assert.deepEqual(
    injected.spec?.initContainers?.map(({ name }) => name),
    [component.proxy, 'migrate'],
  );
  assert.deepEqual(sidecar.startupProbe?.httpGet, { path: '/ready', port: 4191 });
  assert.deepEqual(sidecar.livenessProbe?.httpGet, { path: '/live', port: 4191 });
  assert.equal(injected.metadata?.labels?.['isthmus.dev/control-plane-ns'], 'isthmus');
});

test('it can get its certificate: token, anchors and addresses are there', () => {
  const { pod: injected, sidecar } = inject(pod(ASKED));
  const volume = (mountPath: string) => {
    const name = sidecar.volumeMounts?.find((mount) => mount.mountPath === mountPath)?.name;
    return injected.spec?.volumes?.find((entry) => entry.name === name);
  };
  assert.deepEqual(volume(path.identityTokenDir)?.projected?.sources, [
    {
      serviceAccountToken: {
        audience: 'identity.l5d.io',
        expirationSeconds: 86_400,
        path: 'isthmus-identity-token',
      },
    },
  ]);
  assert.deepEqual(volume(path.trustRootsDir)?.configMap, { name: object.trustRootsConfigMap });
  assert.equal(value(sidecar, env.identityAddress), 'isthmus-identity.isthmus.svc.cluster.local:8080');
  assert.equal(value(sidecar, env.destinationAddress), 'isthmus-destination.isthmus.svc.cluster.local:8086');
  assert.equal(value(sidecar, env.policyAddress), 'isthmus-policy.isthmus.svc.cluster.local:8090');
  assert.equal(value(sidecar, env.clusterName), 'east');
  assert.equal(value(sidecar, env.identityTokenFile), '/var/run/secrets/tokens/isthmus-identity-token');
  assert.equal(value(sidecar, proxyEnv.mode), 'explicit');
});

test('it runs under the restricted Pod Security standard', () => {
  const { sidecar } = inject(pod(ASKED));
  assert.deepEqual(sidecar.securityContext, {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    runAsUser: 2102,
    seccompProfile: { type: 'RuntimeDefault' },
  });
});

test('in explicit mode apps and init containers are told of their proxy, after the address they name', () => {
  const own = [{ name: 'FIRST', value: 'x' }];
  const { pod: injected } = inject(
    pod(ASKED, { containers: [{ name: 'app', env: own }], initContainers: [{ name: 'migrate' }] }),
  );
  const [app] = injected.spec?.containers ?? [];
  for (const container of [app, injected.spec?.initContainers?.[1]]) {
    for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'grpc_proxy']) {
      assert.equal(value(container, name), 'http://$(POD_IP):4140');
    }
    assert.equal(value(container, 'NODE_USE_ENV_PROXY'), '1');
    for (const name of ['NO_PROXY', 'no_proxy']) {
      assert.equal(
        value(container, name),
        '$(POD_IP),$(KUBERNETES_SERVICE_HOST),kubernetes.default.svc,localhost,127.0.0.1',
      );
    }
    assert.deepEqual(container?.env?.[0], {
      name: 'POD_IP',
      valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } },
    });
  }
  assert.equal(value(app, 'FIRST'), 'x');
});

test('what the user set of the proxy environment stays, and no second spelling is set beside it', () => {
  const own = [
    { name: 'HTTP_PROXY', value: 'http://corporate:3128' },
    { name: 'no_proxy', value: 'internal' },
    { name: 'POD_IP', value: 'mine' },
  ];
  const { pod: injected } = inject(pod(ASKED, { containers: [{ name: 'app', env: own }] }));
  const [app] = injected.spec?.containers ?? [];
  assert.deepEqual(app?.env?.slice(0, 3), own);
  assert.deepEqual(
    app?.env?.slice(3).map(({ name }) => name),
    ['https_proxy', 'HTTPS_PROXY', 'grpc_proxy', 'NODE_USE_ENV_PROXY'],
  );
});

test('in redirect mode the app is left alone', () => {
  const { pod: injected } = inject(pod(ASKED), { ...context, proxyMode: 'redirect' });
  assert.deepEqual(injected.spec?.containers, pod().spec?.containers);
});

test('in redirect mode the rules are set before everything else, by a container that has what it needs and no more', () => {
  const { pod: injected, sidecar } = inject(
    pod(
      {
        ...ASKED,
        'config.linkerd.io/proxy-uid': '1700',
        'config.linkerd.io/skip-inbound-ports': '22,8000-8010',
        'config.isthmus.dev/skip-outbound-ports': '25',
        'config.linkerd.io/skip-subnets': '10.0.0.0/8, fd00::/8',
      },
      { initContainers: [{ name: 'migrate' }] },
    ),
    { ...context, proxyMode: 'redirect' },
  );
  const [rules] = injected.spec?.initContainers ?? [];
  assert.deepEqual(
    injected.spec?.initContainers?.map(({ name }) => name),
    [component.redirect, component.proxy, 'migrate'],
  );
  assert.deepEqual(rules?.args, ['redirect']);
  assert.equal(rules?.restartPolicy, undefined);
  assert.equal(value(rules, redirectEnv.proxyUid), '1700');
  assert.equal(sidecar.securityContext?.['runAsUser'], 1700);
  assert.equal(value(rules, redirectEnv.skipInboundPorts), '22,8000-8010');
  assert.equal(value(rules, redirectEnv.skipOutboundPorts), '25');
  assert.equal(value(rules, redirectEnv.skipSubnets), '10.0.0.0/8, fd00::/8');
  assert.deepEqual(rules?.securityContext?.['capabilities'], { drop: ['ALL'], add: ['NET_ADMIN'] });
  assert.equal(rules?.securityContext?.['allowPrivilegeEscalation'], false);
});

test('annotations that the rules could not be made of are passed over with a warning', () => {
  const {
    pod: injected,
    sidecar,
    warnings,
  } = inject(
    pod({
      ...ASKED,
      'config.linkerd.io/proxy-uid': '0',
      'config.linkerd.io/skip-inbound-ports': 'ssh,70000',
      'config.linkerd.io/skip-subnets': '10.0.0.0',
    }),
    { ...context, proxyMode: 'redirect' },
  );
  const [rules] = injected.spec?.initContainers ?? [];
  assert.equal(value(rules, redirectEnv.proxyUid), '2102');
  assert.equal(sidecar.securityContext?.['runAsUser'], 2102);
  assert.equal(value(rules, redirectEnv.skipInboundPorts), undefined);
  assert.equal(warnings.length, 4);
});

test('annotations set resources, log level, policy and opaque ports: pod over namespace, ours over Linkerd’s', () => {
  const { sidecar, warnings } = inject(
    pod({
      ...ASKED,
      'config.linkerd.io/proxy-cpu-limit': '1',
      'config.isthmus.dev/proxy-memory-limit': '250Mi',
      'config.linkerd.io/proxy-memory-limit': '1Gi',
      'config.isthmus.dev/proxy-log-level': 'debug',
      'config.linkerd.io/proxy-image': 'cr.l5d.io/linkerd/proxy',
    }),
    context,
    namespace({
      'config.isthmus.dev/proxy-cpu-limit': '2',
      'config.linkerd.io/default-inbound-policy': 'deny',
      'config.linkerd.io/opaque-ports': '9000-9010',
    }),
  );
  assert.deepEqual(sidecar.resources, {
    requests: { cpu: '10m', memory: '64Mi' },
    limits: { cpu: '1', memory: '250Mi' },
  });
  assert.equal(sidecar.image, 'isthmus.dev/isthmus:test');
  assert.equal(value(sidecar, env.logLevel), 'debug');
  assert.equal(value(sidecar, proxyEnv.defaultInboundPolicy), 'deny');
  assert.equal(value(sidecar, proxyEnv.opaquePorts), '9000-9010');
  assert.deepEqual(warnings, []);
});

test('an ingress controller’s sidecar goes by what requests name, any other does not', () => {
  const ingress = inject(pod({ 'linkerd.io/inject': 'ingress' }), context);
  assert.deepEqual([value(ingress.sidecar, proxyEnv.ingress), ingress.warnings], ['true', []]);
  const byNamespace = inject(pod(), context, namespace({ 'isthmus.dev/inject': 'ingress' }));
  assert.equal(value(byNamespace.sidecar, proxyEnv.ingress), 'true');
  assert.equal(value(inject(pod(ASKED), context).sidecar, proxyEnv.ingress), undefined);
});

test('opaque ports by name reach the proxy as numbers, and what is neither does not reach it', () => {
  const { sidecar, warnings } = inject(
    pod(
      { ...ASKED, 'config.linkerd.io/opaque-ports': '3306, mysql,5000-5010,nope,70000,6-5' },
      { containers: [{ name: 'app', ports: [{ name: 'mysql', containerPort: 13306 }] }] },
    ),
  );
  assert.equal(value(sidecar, proxyEnv.opaquePorts), '3306,13306,5000-5010');
  assert.deepEqual(
    warnings.map((warning) => /"(.*)"/.exec(warning)?.[1]),
    ['nope', '70000', '6-5'],
  );
});

test('a value that can not be read is passed over with a warning, and the pod gets its sidecar', () => {
  const { sidecar, warnings } = inject(
    pod({
      ...ASKED,
      'config.linkerd.io/proxy-cpu-request': 'lots',
      'config.linkerd.io/proxy-log-level': 'loud',
      'config.linkerd.io/default-inbound-policy': 'allow',
    }),
  );
  assert.deepEqual(sidecar.resources?.requests, { cpu: '10m', memory: '64Mi' });
  assert.equal(value(sidecar, env.logLevel), 'info');
  assert.equal(warnings.length, 3);
  assert.match(
    warnings.join('\n'),
    /config\.linkerd\.io\/proxy-cpu-request: "lots" is not a quantity such as 100m; it is ignored/,
  );
});

test('whatever a pod has, its patch applies, adds only, and is not made twice', () => {
  const variable = fc.record({
    name: fc.constantFrom('A', 'POD_IP', 'http_proxy', 'NO_PROXY'),
    value: fc.string(),
  });
  const container = fc.record(
    { name: fc.constantFrom('app', 'other'), env: fc.array(variable, { maxLength: 3 }) },
    { requiredKeys: ['name'] },
  );
  const spec = fc.record(
    {
      containers: fc.array(container, { minLength: 1, maxLength: 2 }),
      initContainers: fc.array(container, { maxLength: 2 }),
      volumes: fc.array(fc.record({ name: fc.string() }), { maxLength: 2 }),
    },
    { requiredKeys: ['containers'] },
  );
  fc.assert(
    fc.property(spec, fc.boolean(), (shape, labelled) => {
      const subject: Pod = { metadata: labelled ? { labels: { app: 'x' } } : {}, spec: shape };
      const where = namespace(ASKED);
      const { pod: injected } = inject(subject, context, where);
      assert.deepEqual(
        injected.spec?.containers.map(({ name }) => name),
        shape.containers.map(({ name }) => name),
      );
      for (const [i, { env: own = [] }] of shape.containers.entries()) {
        const now: EnvVar[] = injected.spec?.containers[i]?.env ?? [];
        for (const entry of own)
          assert.ok(now.some((other) => other.name === entry.name && other.value === entry.value));
      }
      assert.equal(injectPod(injected, where, context).injected, false);
    }),
  );
});

test('the sidecar is told which ports the apps declare', () => {
  const ports = [
    { containerPort: 8080 },
    { containerPort: 5353, protocol: 'UDP' },
    { containerPort: 9090, protocol: 'TCP' },
  ];
  const app: Container = { name: 'app', ports };
  const again: Container = { name: 'again', ports: [{ containerPort: 8080 }] };
  const helper: Container = { name: 'helper', restartPolicy: 'Always', ports: [{ containerPort: 7000 }] };
  const early: Container = { name: 'early', ports: [{ containerPort: 6000 }] };
  const { sidecar } = inject(pod(ASKED, { containers: [app, again], initContainers: [helper, early] }));
  assert.equal(value(sidecar, proxyEnv.inboundPorts), '8080,9090,7000');
  assert.equal(value(inject(pod(ASKED)).sidecar, proxyEnv.inboundPorts), undefined);
});

test('the sidecar is told what the kubelet asks the apps for', () => {
  const probe = (path: string, port: number | string = 'http') => ({ httpGet: { path, port } });
  const app: Container = {
    name: 'app',
    ports: [{ name: 'http', containerPort: 8080 }],
    livenessProbe: probe('/healthz'),
    readinessProbe: probe('/ready?full=1'),
    startupProbe: probe('/a$(HOME)'),
  };
  const helper: Container = { name: 'helper', restartPolicy: 'Always', livenessProbe: probe('/up', 7000) };
  const { sidecar } = inject(pod(ASKED, { containers: [app], initContainers: [helper] }));
  assert.equal(value(sidecar, proxyEnv.inboundProbes), '8080/ready 8080/healthz 7000/up');
  assert.equal(value(inject(pod(ASKED)).sidecar, proxyEnv.inboundProbes), undefined);
});
