/** A stock kubectl against the embedded cluster, as a person uses it. Skipped where there is no kubectl. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { before, suite, test } from 'node:test';
import { EXAMPLE_IMAGE } from '../../api/names.ts';
import { suiteCleaner, temporaryFolder } from '../testing/cleaner.ts';
import { type CommandResult, eventually, run, startCluster } from './harness.ts';

const KUBECTL = process.env['KUBECTL'] ?? 'kubectl';
const hasKubectl = spawnSync(KUBECTL, ['version', '--client']).status === 0;

const deployment = (replicas: number): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: web
        image: ${EXAMPLE_IMAGE}
        args: [server]
        env:
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: GREETING, value: hello}
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
`;

const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1}
              colour: {type: string, default: green}
`;

suite('kubectl on the embedded cluster', { skip: hasKubectl ? false : `${KUBECTL} is not here` }, () => {
  const cleaner = suiteCleaner();
  let kubeconfig = '';

  before(async () => {
    const cluster = await startCluster(cleaner, 'kubectl', await temporaryFolder(cleaner));
    kubeconfig = cluster.kubeconfig;
    await eventually(
      'the default ServiceAccount',
      async () => (await kubectl(['get', 'sa', 'default'])).code === 0,
    );
  });

  function kubectl(args: readonly string[], input = ''): Promise<CommandResult> {
    return run([KUBECTL, '--kubeconfig', kubeconfig, ...args], { input });
  }

  async function ok(args: readonly string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  test('apply, rollout status, get as a table, describe, logs', async () => {
    assert.match(await ok(['apply', '-f', '-'], deployment(1)), /deployment.apps\/web created/);
    assert.match(
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']),
      /successfully rolled out/,
    );
    assert.match(
      await ok(['get', 'pods', '-l', 'app=web']),
      /^NAME +READY +STATUS +RESTARTS +AGE\nweb-\S+ +1\/1 +Running +0 /,
    );
    assert.match(await ok(['get', 'deploy', 'web']), /web +1\/1 +1 +1 /);
    assert.match(
      await ok(['describe', 'pod', '-l', 'app=web']),
      /GREETING: +hello[\s\S]*Events:[\s\S]*Started/,
    );
    assert.match(await ok(['logs', 'deployment/web']), /web listens on 127\./);
    assert.match(await ok(['apply', '-f', '-'], deployment(1)), /unchanged/);
  });

  test('scale, rollout restart, patch, label, annotate', async () => {
    await ok(['scale', 'deployment/web', '--replicas=2']);
    await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
    await ok(['rollout', 'restart', 'deployment/web']);
    assert.match(
      await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']),
      /successfully rolled out/,
    );
    assert.match(await ok(['rollout', 'history', 'deployment/web']), /REVISION[\s\S]*1[\s\S]*2/);
    await ok([
      'patch',
      'deployment',
      'web',
      '-p',
      '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"GREETING","value":"hi"}]}]}}}}',
    ]);
    const env = await ok([
      'get',
      'deploy',
      'web',
      '-o',
      'jsonpath={.spec.template.spec.containers[0].env[*].name}',
    ]);
    assert.deepEqual(env.split(' ').toSorted(), ['GREETING', 'POD_IP']);
    await ok(['label', 'deployment', 'web', 'team=blue']);
    assert.equal(await ok(['get', 'deploy', '-l', 'team=blue', '-o', 'name']), 'deployment.apps/web\n');
    await ok(['rollout', 'status', 'deployment/web', '--timeout=60s']);
  });

  test('create, server-side apply with conflicts, dry run, delete and wait', async () => {
    await ok(['create', 'configmap', 'settings', '--from-literal=a=1']);
    const applied = (value: string): string =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {key: "${value}"}\n`;
    await ok(['apply', '--server-side', '--field-manager=one', '-f', '-'], applied('1'));
    const clash = await kubectl(['apply', '--server-side', '--field-manager=two', '-f', '-'], applied('2'));
    assert.equal(clash.code, 1);
    assert.match(clash.stderr, /conflict with "one": \.data\.key/);
    await ok(['apply', '--server-side', '--field-manager=two', '--force-conflicts', '-f', '-'], applied('2'));
    assert.equal(await ok(['get', 'cm', 'shared', '-o', 'jsonpath={.data.key}']), '2');
    await ok(['create', 'configmap', 'never', '--dry-run=server']);
    assert.match(
      (await kubectl(['get', 'cm', 'never'])).stderr,
      /Error from server \(NotFound\): configmaps "never" not found/,
    );
    assert.match(await ok(['delete', 'cm', 'settings', 'shared']), /configmap "settings" deleted/);
    assert.equal((await kubectl(['wait', '--for=delete', 'cm/settings', '--timeout=10s'])).code, 0);
  });

  test('a CustomResourceDefinition: validation, defaults, pruning, columns, short names', async () => {
    await ok(['apply', '-f', '-'], crd);
    await ok(['wait', '--for=condition=Established', 'crd/widgets.example.com', '--timeout=30s']);
    const widget = (spec: string): string =>
      `apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: ${spec}\n`;
    const bad = await kubectl(['apply', '-f', '-'], widget('{size: 0}'));
    assert.match(
      bad.stderr,
      /spec\.size: Invalid value: 0: spec\.size in body should be greater than or equal to 1/,
    );
    await ok(['apply', '--validate=ignore', '-f', '-'], widget('{size: 3, unknown: x}'));
    assert.deepEqual(JSON.parse(await ok(['get', 'wd', 'w', '-o', 'jsonpath={.spec}'])), {
      size: 3,
      colour: 'green',
    });
    assert.match(await ok(['get', 'widgets']), /^NAME +SIZE\nw +3\n/);
    await ok(['delete', 'crd', 'widgets.example.com']);
    assert.notEqual((await kubectl(['get', 'widgets'])).code, 0);
  });

  test('rights: can-i, and a role that is enforced', async () => {
    await ok(['create', 'serviceaccount', 'reader']);
    await ok(['create', 'role', 'read-cm', '--verb=get,list', '--resource=configmaps']);
    await ok(['create', 'rolebinding', 'read-cm', '--role=read-cm', '--serviceaccount=default:reader']);
    assert.equal(await ok(['auth', 'can-i', 'create', 'pods']), 'yes\n');
    const as = '--as=system:serviceaccount:default:reader';
    assert.equal(await ok(['auth', 'can-i', 'list', 'configmaps', as]), 'yes\n');
    assert.equal((await kubectl(['auth', 'can-i', 'list', 'secrets', as])).stdout, 'no\n');
    const token = (await ok(['create', 'token', 'reader'])).trim();
    const server = await ok(['config', 'view', '--raw', '-o', 'jsonpath={.clusters[0].cluster.server}']);
    const bare = [
      '--kubeconfig=/dev/null',
      `--server=${server}`,
      '--insecure-skip-tls-verify',
      `--token=${token}`,
    ];
    assert.equal((await run([KUBECTL, ...bare, 'get', 'configmaps'])).code, 0);
    const refused = await run([KUBECTL, ...bare, 'get', 'secrets']);
    assert.match(
      refused.stderr,
      /Forbidden.*User "system:serviceaccount:default:reader" cannot list resource "secrets"/,
    );
  });

  test('get -w shows what changes', async () => {
    const child = spawn(KUBECTL, ['--kubeconfig', kubeconfig, 'get', 'cm', '-w', '-o', 'name'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      const lines = child.stdout.setEncoding('utf8');
      const seen = new Promise<void>((resolve) => {
        let text = '';
        lines.on('data', (chunk: string) => {
          text += chunk;
          if (text.includes('configmap/watched')) resolve();
        });
      });
      await ok(['create', 'configmap', 'watched']);
      await seen;
    } finally {
      child.kill();
    }
  });

  test('api-resources, explain and version work from discovery and OpenAPI', async () => {
    assert.match(
      await ok(['api-resources', '--api-group=apps']),
      /deployments +deploy +apps\/v1 +true +Deployment/,
    );
    assert.match(await ok(['explain', 'deployment.spec.replicas']), /FIELD: replicas <integer>/);
    assert.match(await ok(['version']), /Server Version: v1\.34/);
  });
});
