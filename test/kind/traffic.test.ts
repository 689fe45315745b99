/** Three kind clusters, linked all ways, nothing broken. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { annotation, component, label } from '../../api/names.ts';
import type { WebAnswer } from '../../examples/types.ts';
import { kubectl } from '../../kind-clusters/kind.ts';
import { resources } from '../../kubernetes/resources.ts';
import { deployApps, MESHED, PLAIN, removeApps } from './apps.ts';
import { appPod, eventually, linkCondition, openTestCluster, request, type TestCluster } from './harness.ts';

suite('three linked clusters', () => {
  let clusters: TestCluster[] = [];
  const byName = (name: string): TestCluster => clusters.find((one) => one.name === name)!;

  before(async () => {
    clusters = await Promise.all(['east', 'west', 'north'].map(openTestCluster));
    for (const cluster of clusters) await removeApps(cluster);
    await deployApps(clusters);
  });
  after(async () => {
    await Promise.all(clusters.map(({ client }) => client.close()));
  });

  test('every link works, in every direction', async () => {
    for (const source of clusters) {
      for (const { name: target } of clusters.filter((one) => one !== source)) {
        for (const type of ['CredentialsValid', 'ApiReachable', 'Synced', 'GatewayAlive', 'TrustShared']) {
          await eventually(
            `${type} of ${source.name} -> ${target}`,
            async () => (await linkCondition(source, target, type)) === 'True',
          );
        }
      }
    }
  });

  test('each cluster gets answers from each other, which sees who asked', async () => {
    for (const source of clusters) {
      for (const { name: target } of clusters.filter((one) => one !== source)) {
        const answer = await eventually(`${source.name} to be answered by ${target}`, async () => {
          const got = await request(source, MESHED, 'web', `http://web-${target}.${MESHED}/`);
          return got.status === 200 ? (JSON.parse(got.body) as WebAnswer) : undefined;
        });
        assert.equal(answer.cluster, target);
        assert.equal(answer.client, `spiffe://cluster.local/cluster/${source.name}/ns/${MESHED}/sa/web`);
      }
    }
  });

  test('within a cluster the name of a Service leads to its own pods, by mutual TLS', async () => {
    const { status, body } = await request(byName('north'), MESHED, 'web', `http://web.${MESHED}/`);
    assert.equal(status, 200, body);
    const answer = JSON.parse(body) as WebAnswer;
    assert.equal(answer.cluster, 'north');
    assert.equal(answer.client, `web.${MESHED}.serviceaccount.identity.isthmus.cluster.local`);
  });

  test('what is not exported has no mirror, and its name leads nowhere', async () => {
    const east = byName('east');
    const { items } = await east.client.list(resources.services, {
      namespace: MESHED,
      labelSelector: `${label.mirroredService}=true`,
    });
    const names = items.map(({ metadata }) => metadata?.name ?? '').sort();
    assert.deepEqual(names, ['web-north', 'web-west']);
    const { status } = await request(east, MESHED, 'web', `http://hidden-west.${MESHED}/`);
    assert.equal(status, 0);
  });

  test('a client without sidecar is refused where policy says so, a meshed one is not', async () => {
    const west = byName('west');
    const url = `http://locked.${MESHED}/`;
    const answered = async (namespace: string, from: string, to: string): Promise<string> =>
      eventually(`${from} to be answered by ${to}`, async () => {
        const { status, body } = await request(west, namespace, from, to);
        return status === 200 ? body : undefined;
      });
    await answered(MESHED, 'web', url);
    const outside = await request(west, PLAIN, 'outsider', url);
    assert.ok(outside.status === 0 || outside.status === 403, `got ${outside.status}: ${outside.body}`);
    const open = await answered(PLAIN, 'outsider', `http://web.${MESHED}/`);
    assert.equal((JSON.parse(open) as WebAnswer).client, null, 'where policy lets everyone in, it is let in');
  });

  test('a pod that does not ask for the mesh is not touched', async () => {
    const west = byName('west');
    const name = await appPod(west, PLAIN, 'outsider');
    const { spec, metadata } = await west.client.get(resources.pods, PLAIN, name);
    assert.deepEqual(
      spec?.containers.map((container) => container.name),
      ['outsider'],
    );
    assert.deepEqual(spec?.initContainers ?? [], []);
    assert.equal(metadata?.annotations?.[annotation.proxyVersion], undefined);
    assert.equal(metadata?.labels?.[label.controlPlaneNs], undefined);
  });

  test('kubectl logs and exec work on injected pods', async () => {
    const pod = await appPod(byName('east'), MESHED, 'web');
    const inNamespace = ['--namespace', MESHED];
    const logs = (container: string): Promise<string> =>
      kubectl('east', [...inNamespace, 'logs', pod, '--container', container]);
    assert.match(await logs('web'), /web listens on/);
    assert.match(await logs(component.proxy), /"msg":"certified"/);
    assert.match(await logs(component.redirect), /redirected to its sidecar/);
    const said = await kubectl('east', [...inNamespace, 'exec', pod, '--container', 'web', '--', 'id', '-u']);
    assert.equal(said.trim(), '65532');
  });
});
