/** The command as a person uses it: every call is a process of its own against real clusters. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as yaml from 'js-yaml';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { annotation, component, DEFAULT_MESH_NAMESPACE, label, object } from '../../api/names.ts';
import type { ClusterAccess } from '../../cli/cluster-access.ts';
import { resources } from '../../kubernetes/resources.ts';
import { KubernetesError, type Resource } from '../../kubernetes/types.ts';
import { suiteCleaner, temporaryFolder } from '../testing/cleaner.ts';
import { type CommandResult, eventually, isthmus, startCluster } from './harness.ts';

const NAMESPACE = DEFAULT_MESH_NAMESPACE;
const isMissing = (error: unknown): boolean => error instanceof KubernetesError && error.code === 404;

interface Kubeconfig {
  clusters: { name: string; cluster: Record<string, string> }[];
  users: { name: string; user: Record<string, string> }[];
  contexts: { name: string; context: { cluster: string; user: string } }[];
}

suite('isthmus with two clusters', () => {
  const cleaner = suiteCleaner();
  let dir = '';
  let east: ClusterAccess;
  let west: ClusterAccess;
  let env: Record<string, string> = {};
  let eastKubeconfig = '';

  before(async () => {
    dir = await temporaryFolder(cleaner);
    const [e, w] = await Promise.all(
      ['east', 'west'].map((name) => startCluster(cleaner, name, join(dir, 'clusters'))),
    );
    assert.ok(e !== undefined && w !== undefined);
    [east, west] = [e.access, w.access];
    eastKubeconfig = e.kubeconfig;
    env = {
      KUBECONFIG: `${e.kubeconfig}:${w.kubeconfig}`,
      HOME: join(dir, 'home'),
      XDG_CONFIG_HOME: join(dir, 'config'),
    };
    const [first, second] = await Promise.all([
      cli(['trust', 'create', '--out', join(dir, 'trust')]),
      cli(['trust', 'create', '--out', join(dir, 'other-trust')]),
    ]);
    assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr);
    const installed = await Promise.all([install('east', 'trust'), install('west', 'trust')]);
    for (const result of installed) assert.equal(result.code, 0, result.stderr);
  });

  const cli = (args: readonly string[], more: Record<string, string> = {}): Promise<CommandResult> =>
    isthmus(args, { ...env, ...more });

  const install = (name: string, trust: string, ...more: string[]): Promise<CommandResult> =>
    cli(['install', '--context', name, '--cluster-name', name, '--trust', join(dir, trust), ...more]);

  /** The command fails as the person's mistake, and says all of this. */
  async function refused(work: Promise<CommandResult>, ...says: RegExp[]): Promise<void> {
    const { code, stderr } = await work;
    assert.equal(code, 1, stderr);
    for (const pattern of says) assert.match(stderr, pattern);
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack');
  }

  async function versionsOf(cluster: ClusterAccess): Promise<string[]> {
    const all: Resource[] = [
      resources.configMaps,
      resources.secrets,
      resources.services,
      resources.serviceAccounts,
      resources.clusterRoles,
      resources.clusterRoleBindings,
      resources.mutatingWebhookConfigurations,
      resources.trustBundles,
      resources.clusterProperties,
      resources.namespaces,
    ];
    const lists = await Promise.all(all.map((resource) => cluster.client.list(resource)));
    const deployments = await cluster.client.list(resources.deployments, { namespace: NAMESPACE });
    return [
      ...lists
        .flatMap((list) => list.items)
        .map(({ kind, metadata }) => `${kind} ${metadata?.name} ${metadata?.resourceVersion}`),
      ...deployments.items.map(({ metadata }) => `Deployment ${metadata?.name} ${metadata?.generation}`),
    ];
  }

  async function scale(cluster: ClusterAccess, name: string, replicas: number): Promise<void> {
    await cluster.client.mergePatch(resources.deployments, NAMESPACE, name, { spec: { replicas } });
  }

  /** A kubeconfig file of its own with one change to east's. */
  async function kubeconfig(name: string, edit: (config: Kubeconfig) => void): Promise<string> {
    const config = yaml.load(await readFile(eastKubeconfig, 'utf8')) as Kubeconfig;
    edit(config);
    const file = join(dir, name);
    await writeFile(file, yaml.dump(config));
    return file;
  }

  test('installing twice changes nothing', async () => {
    await eventually('the first installation to settle', async () => {
      const webhook = await west.client.get(
        resources.mutatingWebhookConfigurations,
        undefined,
        object.injectorWebhook,
      );
      // The bundle's status moves until everyone that the installation started has acknowledged it.
      const bundles = await west.client.list(resources.trustBundles);
      const acknowledged = bundles.items.every(
        ({ status }) =>
          status?.conditions?.some((c) => c.type === 'Acknowledged' && c.status === 'True') === true,
      );
      return acknowledged && webhook.webhooks?.every((w) => Boolean(w.clientConfig.caBundle));
    });
    // The components write when they get to it, and not each time.
    await eventually('an installation without their writes in between', async () => {
      const earlier = await versionsOf(west);
      const { code, stderr } = await install('west', 'trust');
      assert.equal(code, 0, stderr);
      assert.deepEqual(await versionsOf(west), earlier);
      return true;
    });
  });

  test('an installation that contradicts the one that is there is refused', async () => {
    await Promise.all([
      refused(
        cli(['install', '--context', 'east', '--cluster-name', 'other', '--trust', join(dir, 'trust')]),
        /context "east" has the id "east", not "other"/,
        /never changes/,
      ),
      refused(
        install('east', 'trust', '--isthmus-namespace', 'elsewhere'),
        /has a mesh already, in namespace "isthmus"/,
      ),
    ]);
  });

  test('without --trust the anchor is made in the own configuration folder, and said aloud', async () => {
    const { code, stdout, stderr } = await cli(['install', '--cluster-name', 'new', '-o', 'yaml']);
    assert.equal(code, 0, stderr);
    const folder = join(dir, 'config', 'isthmus', 'trust');
    assert.ok(stderr.includes(folder), stderr);
    assert.deepEqual((await readdir(folder)).toSorted(), ['ca.crt', 'ca.key']);
    const objects = yaml.loadAll(stdout) as (KubernetesObject & { data?: Record<string, string> })[];
    const key = await readFile(join(folder, 'ca.key'), 'utf8');
    const secrets = objects.flatMap((o) => (o.kind === 'Secret' ? Object.values(o.data ?? {}) : []));
    assert.ok(secrets.length > 0);
    for (const value of secrets) assert.notEqual(Buffer.from(value, 'base64').toString().trim(), key.trim());
    const kinds = new Set(objects.map((o) => o.kind));
    for (const kind of ['CustomResourceDefinition', 'Deployment', 'TrustBundle', 'ClusterRole'])
      assert.ok(kinds.has(kind));
  });

  test('a trust folder without an anchor is refused with what to do', async () => {
    await refused(
      cli(['install', '--cluster-name', 'new', '--trust', dir, '-o', 'yaml']),
      /trust create --out DIR/,
    );
  });

  test('inject reads files and standard input, prints or applies', async () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [] } };
    const list = { apiVersion: 'v1', kind: 'List', items: [pod, { ...map('c'), kind: 'ConfigMap' }] };
    const [printed, piped, applied] = await Promise.all([
      cli(['inject', new URL('../../examples/web.yaml', import.meta.url).pathname, '-o', 'yaml']),
      isthmus(['inject', '-', '--dry-run', '-o', 'json'], env, yaml.dump(list)),
      isthmus(
        ['inject', '-', '--context', 'east'],
        env,
        yaml.dump({ ...map('settings'), kind: 'ConfigMap' }),
      ),
    ]);
    assert.equal(printed.code, 0, printed.stderr);
    const deployment = (yaml.loadAll(printed.stdout) as KubernetesObject[]).find(
      (o) => o.kind === 'Deployment',
    ) as { spec: { template: { metadata: { annotations: Record<string, string> } } } };
    assert.equal(deployment.spec.template.metadata.annotations[annotation.inject], 'enabled');
    assert.equal(piped.code, 0, piped.stderr);
    assert.match(piped.stdout, /"isthmus.dev\/inject": "enabled"/);
    assert.match(piped.stderr, /pod\/p injected\n.*configmap\/c unchanged/);
    assert.equal(applied.code, 0, applied.stderr);
    await east.client.get(resources.configMaps, 'default', 'settings');
  });

  test('a link that makes no sense, or has no rights, is refused before anything is made', async () => {
    const account = await east.client.create(resources.serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'nobody', namespace: 'default' },
    });
    const { status } = await east.client.raw<{ status: { token: string } }>(
      'POST',
      `/api/v1/namespaces/default/serviceaccounts/${account.metadata?.name}/token`,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    );
    const withToken = (token: string) => (config: Kubeconfig) => {
      for (const entry of config.users) entry.user = { token };
    };
    const nobody = await kubeconfig('nobody', withToken(status.token));
    const expired = await kubeconfig('expired', withToken('eyJhbGciOiJSUzI1NiJ9.e30.c2ln'));
    const unreachable = await kubeconfig('unreachable', (config) => {
      for (const { cluster } of config.clusters) cluster['server'] = 'https://127.0.0.1:1';
    });
    const alias = await kubeconfig('alias', (config) => {
      for (const context of config.contexts) context.name = 'alias';
    });
    await Promise.all([
      refused(cli(['link', '--context', 'east', '--to', 'east']), /are the same cluster \("east"\)/),
      refused(
        cli(['link', '--context', 'east', '--to', 'alias'], { KUBECONFIG: `${eastKubeconfig}:${alias}` }),
        /"east" and "alias" are the same cluster/,
      ),
      refused(
        cli(['link', '--context', 'east', '--to', 'north']),
        /"north" is not in the kubeconfig/,
        /east, west/,
      ),
      refused(
        cli(['link', '--context', 'east', '--to', 'west', '--api-server-address', 'http://x']),
        /no https address/,
      ),
      refused(cli(['gateways', '--kubeconfig', nobody]), /may not do this/, /nobody/),
      refused(cli(['gateways', '--kubeconfig', expired]), /does not accept the credentials/),
      refused(
        cli(['gateways', '--kubeconfig', unreachable]),
        /cannot be reached/,
        /https:\/\/127\.0\.0\.1:1/,
      ),
    ]);
    assert.deepEqual((await east.client.list(resources.links)).items, []);
  });

  test('the printed objects of a link, applied one side after the other, make a link that works', async () => {
    const link = ['link', '--context', 'east', '--to', 'west'];
    const dry = await cli([...link, '--dry-run', '-o', 'yaml']);
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stderr, /TOKEN in the place of a token/);
    assert.deepEqual((await west.client.list(resources.serviceAccounts, at('isthmus-link-east'))).items, []);
    for (const [side, context] of [
      ['target', 'west'],
      ['source', 'east'],
    ] as const) {
      const printed = await cli([...link, '--side', side, '-o', 'yaml']);
      assert.equal(printed.code, 0, printed.stderr);
      const applied = await isthmus(['inject', '-', '--context', context], env, printed.stdout);
      assert.equal(applied.code, 0, applied.stderr);
    }
    const again = await cli([...link, '--mutual']);
    assert.equal(again.code, 0, again.stderr);
    const { stdout } = await cli(['gateways', '--context', 'east', '-o', 'json']);
    const [row] = JSON.parse(stdout) as { clusterName: string; alive: boolean }[];
    assert.deepEqual([row?.clusterName, row?.alive], ['west', true]);
  });

  test('check is green with its proxies, and tells what is not well where it is and where it is linked from', async () => {
    const green = await cli(['check', '--context', 'east', '--proxy', '--wait', '60s']);
    assert.equal(green.code, 0, green.stdout);
    assert.match(green.stdout, /^kubernetes-api\n-+\n√ can initialize the client\n/);
    assert.match(green.stdout, /\nStatus check results are √\n$/);
    assert.doesNotMatch(green.stdout, /[‼×]/);
    assert.ok(!green.stdout.includes('\u001b'), 'no colours where nobody sees them');

    // Asked often, and missed at once.
    await east.client.mergePatch(resources.links, NAMESPACE, 'west', {
      spec: { probe: { periodSeconds: 1, failureThreshold: 1 } },
    });
    await scale(west, component.gateway, 0);
    // A mirror of another program is its own.
    await west.client.create(resources.services, {
      ...map('orphan-north'),
      metadata: {
        name: 'orphan-north',
        namespace: 'default',
        labels: { [label.mirroredService]: 'true', [label.mirrorCluster]: 'north' },
      },
      kind: 'Service',
      spec: { ports: [{ port: 80 }] },
    });
    await eventually('the gateway to be gone, and nothing else to be missed', async () => {
      const { status } = await west.client.get(resources.deployments, NAMESPACE, component.gateway);
      const link = await east.client.get(resources.links, NAMESPACE, 'west');
      const untrue = link.status?.conditions?.filter((c) => c.status !== 'True') ?? [];
      return (
        (status?.availableReplicas ?? 0) === 0 &&
        untrue.map((c) => `${c.type} ${c.status}`).join() === 'GatewayAlive False'
      );
    });
    const [there, here] = await Promise.all([
      cli(['check', '--context', 'west', '--wait', '0s', '-o', 'json']),
      cli(['check', '--context', 'east', '--wait', '0s', '-o', 'short']),
    ]);
    assert.equal(there.code, 1, there.stdout);
    const { success, categories } = JSON.parse(there.stdout) as {
      success: boolean;
      categories: { checks: { hint?: string; result: string }[] }[];
    };
    assert.equal(success, false);
    const failed = categories.flatMap((c) => c.checks).filter((c) => c.result === 'error');
    assert.deepEqual(
      failed.map((c) => c.hint),
      ['docs/checks.md#gateway-ready', 'docs/checks.md#mesh-services'],
    );
    assert.equal(here.code, 1, here.stdout);
    assert.match(
      here.stdout,
      /^isthmus-multicluster\n-+\n× gateways of linked clusters are reachable\n {4}link west: GatewayAlive is False/,
    );
    await scale(west, component.gateway, 1);
  });

  test('unlink works without the target, ends half a link with it, and then says that there is none', async () => {
    const unlink = ['unlink', '--context', 'east', '--from', 'west'];
    const dead = await cli(unlink, { KUBECONFIG: eastKubeconfig });
    assert.equal(dead.code, 0, dead.stderr);
    assert.match(dead.stderr, /ServiceAccount isthmus-link-east stays there/);
    await assert.rejects(east.client.get(resources.links, NAMESPACE, 'west'), isMissing);
    await assert.rejects(east.client.get(resources.secrets, NAMESPACE, 'isthmus-link-west'), isMissing);
    const live = await cli([...unlink, '--mutual']);
    assert.equal(live.code, 0, live.stderr);
    await assert.rejects(west.client.get(resources.links, NAMESPACE, 'east'), isMissing);
    await assert.rejects(
      west.client.get(resources.serviceAccounts, NAMESPACE, 'isthmus-link-east'),
      isMissing,
    );
    await refused(cli(unlink), /cluster "east" has no link to "west"/);
  });

  test('clusters that share no anchor are not linked', async () => {
    const anchor = await readFile(join(dir, 'other-trust', 'ca.crt'), 'utf8');
    // Nothing runs in west that would mend it.
    await scale(west, component.controlPlane, 0);
    await eventually('the control plane to be gone', async () => {
      const pods = await west.client.list(resources.pods, {
        namespace: NAMESPACE,
        labelSelector: `${label.component}=${component.controlPlane}`,
      });
      return pods.items.length === 0;
    });
    const roots = await west.client.get(resources.configMaps, NAMESPACE, object.trustRootsConfigMap);
    await west.client.replace(resources.configMaps, { ...roots, data: { [object.trustRootsKey]: anchor } });
    await refused(cli(['link', '--context', 'east', '--to', 'west']), /share no trust anchor/, /--trust/);
  });

  test('uninstall needs no component to run, leaves nothing of ours and touches nothing else; what is gone is told', async () => {
    await west.client.create(resources.namespaces, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'app' },
    });
    const copies = [object.trustRootsConfigMap, 'own'];
    for (const name of copies) {
      const metadata = { name, namespace: 'app', labels: { [label.managedBy]: 'isthmus-trust-roots' } };
      await west.client.create(resources.configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
    }
    const { code, stderr } = await cli(['uninstall', '--context', 'west']);
    assert.equal(code, 0, stderr);
    await assert.rejects(west.client.get(resources.namespaces, undefined, NAMESPACE), isMissing);
    await assert.rejects(west.client.get(resources.configMaps, 'app', object.trustRootsConfigMap), isMissing);
    await west.client.get(resources.configMaps, 'app', 'own');
    await west.client.get(resources.services, 'default', 'orphan-north');
    const bindings = await west.client.list(resources.clusterRoleBindings);
    assert.deepEqual(
      bindings.items.map((b) => b.metadata?.name).filter((name) => name?.startsWith('isthmus')),
      [],
    );
    await Promise.all([
      refused(cli(['uninstall', '--context', 'west']), /has no mesh in namespace "isthmus"/),
      refused(cli(['link', '--context', 'east', '--to', 'west']), /context "west" has no mesh/, /install/),
      refused(
        cli(['check', '--context', 'west', '--wait', '0s', '-o', 'short']).then(toStderr),
        /isthmus-existence\n-+\n× 'isthmus-config' config map exists/,
      ),
    ]);
  });
});

/** `check` tells its findings on standard output. */
function toStderr(result: CommandResult): CommandResult {
  return { ...result, stderr: result.stdout };
}

function map(name: string): KubernetesObject {
  return { apiVersion: 'v1', metadata: { name } };
}

function at(name: string): { namespace: string; fieldSelector: string } {
  return { namespace: NAMESPACE, fieldSelector: `metadata.name=${name}` };
}
