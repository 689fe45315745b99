import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  ClusterRole,
  Deployment,
  KubernetesObject,
  MutatingWebhookConfiguration,
  PodDisruptionBudget,
  RoleBinding,
  Service,
} from '../../api/kubernetes-types.ts';
import { component, IMAGE, label } from '../../api/names.ts';
import { settingsFromEnvironment } from '../../control-plane/environment.ts';
import { meshObjects } from './manifests.ts';
import type { GivenValues } from './asked-values.ts';
import { type AskedValues, type ClusterTraits, installValues } from './values.ts';

const trust = { anchors: ['anchor\n'], issuerCertificate: 'issuer', issuerKey: 'key' };
const objects = rendered({ 'gateway.replicas': 2 });

function rendered(given: GivenValues, traits: ClusterTraits = { embedded: true }): KubernetesObject[] {
  const asked: AskedValues = { clusterName: 'east', meshNamespace: 'mesh', ...given };
  return meshObjects({ values: installValues(asked, traits), asked, trust });
}

function ofKind<T extends KubernetesObject>(...kinds: string[]): T[] {
  return objects.filter((o) => kinds.includes(o.kind ?? '')) as T[];
}

const deployments = ofKind<Deployment>('Deployment');

test('no right is for everything, and every right is asked for by name', () => {
  const roles = ofKind<ClusterRole>('ClusterRole', 'Role');
  assert.ok(roles.length >= 5);
  for (const { metadata, rules = [] } of roles) {
    for (const rule of rules) {
      const all = [...(rule.apiGroups ?? []), ...(rule.resources ?? []), ...rule.verbs];
      assert.ok(!all.includes('*'), `${metadata?.name}: ${JSON.stringify(rule)}`);
      assert.ok(!(rule.resources ?? []).some((r) => ['clusterroles', 'serviceaccounts/token'].includes(r)));
    }
  }
});

test('only the mirror controller reads all Secrets, and only in the mesh namespace', () => {
  for (const { kind, metadata, rules = [] } of ofKind<ClusterRole>('ClusterRole', 'Role')) {
    for (const rule of rules.filter((r) => r.resources?.includes('secrets') && r.verbs.includes('list'))) {
      assert.equal(kind, 'Role');
      if (metadata?.name !== component.mirrorController) assert.ok((rule.resourceNames ?? []).length > 0);
    }
  }
});

test('every binding leads to a role and an account that are installed', () => {
  const has = (kind: string, name: string): boolean =>
    objects.some((o) => o.kind === kind && o.metadata?.name === name);
  for (const { roleRef, subjects = [] } of ofKind<RoleBinding>('RoleBinding', 'ClusterRoleBinding')) {
    assert.ok(has(roleRef.kind, roleRef.name));
    for (const subject of subjects) {
      assert.ok(has('ServiceAccount', subject.name));
      assert.equal(subject.namespace, 'mesh');
    }
  }
});

test('every pod is as Pod Security `restricted` asks, of our image, with probes and requests', () => {
  assert.equal(deployments.length, 3);
  for (const { spec } of deployments) {
    const containers = spec?.template.spec?.containers ?? [];
    assert.equal(containers.length, 1);
    for (const container of containers) {
      assert.equal(container.image, IMAGE);
      assert.ok(container.readinessProbe !== undefined && container.livenessProbe !== undefined);
      assert.ok(container.resources?.requests?.['memory'] !== undefined);
      const { seccompProfile, capabilities, ...rest } = container.securityContext ?? {};
      assert.deepEqual(seccompProfile, { type: 'RuntimeDefault' });
      assert.deepEqual(capabilities, { drop: ['ALL'] });
      assert.deepEqual(rest, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        runAsUser: 2102,
      });
    }
    for (const volume of spec?.template.spec?.volumes ?? []) assert.equal(volume.hostPath, undefined);
  }
});

test('selectors find the pods, and each Service leads to a port that a container opens', () => {
  const matches = (selector: Record<string, string>, { spec }: Deployment): boolean =>
    Object.entries(selector).every(([key, value]) => spec?.template.metadata?.labels?.[key] === value);
  for (const deployment of deployments)
    assert.ok(matches(deployment.spec?.selector.matchLabels ?? {}, deployment));
  const services = ofKind<Service>('Service');
  assert.equal(services.length, 5);
  for (const { metadata, spec } of services) {
    const targets = deployments.filter((d) => matches(spec?.selector ?? {}, d));
    assert.equal(targets.length, 1, `pods of Service ${metadata?.name}`);
    const open = targets[0]?.spec?.template.spec?.containers[0]?.ports?.map((p) => p.containerPort);
    for (const { port, targetPort } of spec?.ports ?? []) {
      assert.equal(port, targetPort, 'nothing dials a ClusterIP in the embedded cluster');
      assert.ok(open?.includes(port));
    }
  }
});

test('the webhook calls the injector where it serves, never for the mesh itself, and never stops a pod', () => {
  const [configuration] = ofKind<MutatingWebhookConfiguration>('MutatingWebhookConfiguration');
  for (const webhook of configuration?.webhooks ?? []) {
    const { service } = webhook.clientConfig;
    const target = ofKind<Service>('Service').find((s) => s.metadata?.name === service?.name);
    assert.equal(target?.spec?.ports?.[0]?.port, service?.port);
    assert.equal(webhook.failurePolicy, 'Ignore');
    const excluded = webhook.namespaceSelector?.matchExpressions?.flatMap((e) => e.values ?? []) ?? [];
    for (const name of ['kube-system', 'mesh', 'disabled']) assert.ok(excluded.includes(name));
  }
  assert.equal(configuration?.webhooks?.length, 1);
});

test("what was asked for is what is installed, and the issuer's key stands in its Secret alone", () => {
  const gateway = deployments.find((d) => d.metadata?.name === component.gateway);
  assert.equal(gateway?.spec?.replicas, 2);
  const key = Buffer.from('key').toString('base64');
  const holders = objects.filter((o) => JSON.stringify(o).includes(`"${key}"`));
  assert.deepEqual(
    holders.map((o) => o.kind),
    ['Secret'],
  );
  for (const { metadata } of objects) assert.equal(metadata?.namespace ?? 'mesh', 'mesh');
});

test('the control plane is told which networks are the cluster, those of embedded pods among them', () => {
  const plane = deployments.find((d) => d.metadata?.name === component.controlPlane);
  const variables = plane?.spec?.template.spec?.containers[0]?.env ?? [];
  const networks = variables.find(({ name }) => name === 'ISTHMUS_CLUSTER_NETWORKS')?.value?.split(',') ?? [];
  assert.ok(networks.includes('10.0.0.0/8') && networks.includes('127.0.0.0/8'));
});

test('high availability: three replicas apart, one may go at a time, and no pod without its sidecar', () => {
  const ha = rendered({ highAvailability: true }, { embedded: false });
  const budgets = ha.filter((o) => o.kind === 'PodDisruptionBudget') as PodDisruptionBudget[];
  const all = ha.filter((o) => o.kind === 'Deployment') as Deployment[];
  assert.equal(all.length, 3);
  for (const { metadata, spec } of all) {
    assert.equal(spec?.replicas, 3);
    const apart = spec?.template.spec?.affinity?.['podAntiAffinity'] as {
      requiredDuringSchedulingIgnoredDuringExecution: { labelSelector: object; topologyKey: string }[];
    };
    const selector = { matchLabels: spec?.selector.matchLabels };
    assert.deepEqual(apart.requiredDuringSchedulingIgnoredDuringExecution, [
      { labelSelector: selector, topologyKey: 'kubernetes.io/hostname' },
    ]);
    // With as many nodes as replicas a new one has no place before an old one has gone.
    assert.deepEqual(spec?.strategy?.rollingUpdate, { maxSurge: 0, maxUnavailable: 1 });
    const budget = budgets.find((b) => b.metadata?.name === metadata?.name);
    assert.deepEqual(budget?.spec, { maxUnavailable: 1, selector });
  }
  const [webhook] = ha.filter(
    (o) => o.kind === 'MutatingWebhookConfiguration',
  ) as MutatingWebhookConfiguration[];
  assert.equal(webhook?.webhooks?.[0]?.failurePolicy, 'Fail');
});

test('without it a single replica is never away in an upgrade, has no budget that keeps its node, and prefers to be apart', () => {
  const budgets = ofKind('PodDisruptionBudget').map((o) => o.metadata?.name);
  assert.deepEqual(budgets, [component.gateway], 'the gateway alone has two replicas here');
  const plane = deployments.find((d) => d.metadata?.name === component.controlPlane);
  assert.deepEqual(plane?.spec?.strategy?.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  const affinity = plane?.spec?.template.spec?.affinity?.['podAntiAffinity'] ?? {};
  assert.deepEqual(Object.keys(affinity), ['preferredDuringSchedulingIgnoredDuringExecution']);
});

test('every object bears the mark by which it is pruned and removed, and the pods do not', () => {
  for (const o of objects)
    assert.equal(o.metadata?.labels?.[label.installation], 'mesh', `${o.kind} ${o.metadata?.name}`);
  for (const { spec } of deployments)
    assert.equal(spec?.template.metadata?.labels?.[label.installation], undefined);
});

test('what was asked for reaches the components, and the sidecars by way of the control plane', () => {
  const set = rendered({
    image: 'registry.example/isthmus:9',
    imagePullPolicy: 'Always',
    priorityClassName: 'system-cluster-critical',
    'gateway.serviceType': 'NodePort',
    'gateway.resources.limits.memory': '1Gi',
    'proxy.resources.requests.cpu': '15m',
    'proxy.resources.limits.memory': '300Mi',
    'proxy.logLevel': 'debug',
    adoptLinkerd: true,
  });
  const all = set.filter((o) => o.kind === 'Deployment') as Deployment[];
  const of = (name: string): Deployment['spec'] => all.find((o) => o.metadata?.name === name)?.spec;
  for (const name of [component.controlPlane, component.gateway, component.mirrorController]) {
    const pod = of(name)?.template.spec;
    assert.equal(pod?.priorityClassName, 'system-cluster-critical');
    assert.equal(pod?.containers[0]?.image, 'registry.example/isthmus:9');
    assert.equal(pod?.containers[0]?.imagePullPolicy, 'Always');
  }
  assert.deepEqual(of(component.gateway)?.template.spec?.containers[0]?.resources?.limits, { memory: '1Gi' });
  const service = set.find((o) => o.kind === 'Service' && o.metadata?.name === component.gateway) as Service;
  assert.equal(service.spec?.type, 'NodePort');
  const { env = [] } = of(component.controlPlane)?.template.spec?.containers[0] ?? {};
  const environment = Object.fromEntries(env.map(({ name, value = '' }) => [name, value]));
  const { injection, adoptLinkerd } = settingsFromEnvironment({
    ...environment,
    POD_NAME: 'control-plane-1',
    POD_IP: '10.1.0.1',
  });
  assert.ok(adoptLinkerd);
  assert.equal(injection.image, 'registry.example/isthmus:9');
  assert.equal(injection.imagePullPolicy, 'Always');
  assert.equal(injection.logLevel, 'debug');
  assert.deepEqual(injection.resources, { cpuRequest: '15m', memoryRequest: '64Mi', memoryLimit: '300Mi' });
});
