/** Things break while east calls west 20 times a second. Counts are the load client's own. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { component, DEFAULT_MESH_NAMESPACE, label } from '../../api/names.ts';
import { nodeOf } from '../../kind-clusters/clusters.ts';
import { run } from '../../kind-clusters/command.ts';
import { kubectl, startCluster } from '../../kind-clusters/kind.ts';
import { rolledOut } from '../../kind-clusters/mesh.ts';
import { resources } from '../../kubernetes/resources.ts';
import { deployApps, MESHED } from './apps.ts';
import {
  eventually,
  isReady,
  linkCondition,
  loadStats,
  meshPods,
  openTestCluster,
  request,
  type TestCluster,
} from './harness.ts';

/** Requests that must have been answered before and after a blow. */
const ENOUGH = 100;

suite('failures under load', () => {
  let east: TestCluster;
  let west: TestCluster;

  before(async () => {
    [east, west] = await Promise.all([openTestCluster('east'), openTestCluster('west')]);
    await deployApps([east, west]);
    await answered();
  });
  after(async () => {
    await Promise.all([east.client.close(), west.client.close()]);
  });

  /** Waits for more answers; fails when a request fails meanwhile. */
  async function answered(): Promise<void> {
    const start = await eventually('the load client', () => loadStats(east, MESHED));
    await eventually('requests to be answered', async () => {
      const { requests, failures } = await loadStats(east, MESHED);
      return requests - failures >= start.requests - start.failures + ENOUGH;
    });
  }

  /** Runs `blow` while requests go on, before, meanwhile and after; answers how many failed and passed. */
  async function under(
    blow: () => Promise<void>,
  ): Promise<{ failed: number; passed: number; error: string | null }> {
    await answered();
    const start = await loadStats(east, MESHED);
    await blow();
    await answered();
    const end = await loadStats(east, MESHED);
    const failed = end.failures - start.failures;
    return { failed, passed: end.requests - start.requests - failed, error: end.lastError };
  }

  const inMesh = ['--namespace', DEFAULT_MESH_NAMESPACE];
  const scale = async (deployment: string, replicas: number): Promise<void> => {
    await kubectl('west', [...inMesh, 'scale', `deployment/${deployment}`, `--replicas=${replicas}`]);
  };

  test('a gateway pod killed: no request fails', async (t) => {
    await scale(component.gateway, 2);
    t.after(() => scale(component.gateway, 1));
    await rolledOut('west', DEFAULT_MESH_NAMESPACE, component.gateway);
    // Both, one after the other: connections are long-lived, and either may have carried none.
    for (const { metadata } of await meshPods(west, component.gateway)) {
      const { failed, passed, error } = await under(async () => {
        const pod = metadata?.name ?? '';
        await kubectl('west', [...inMesh, 'delete', 'pod', pod, '--force', '--grace-period=0']);
        await rolledOut('west', DEFAULT_MESH_NAMESPACE, component.gateway);
      });
      t.diagnostic(`${passed} requests, ${failed} failed`);
      assert.equal(failed, 0, `${failed} of ${passed + failed} failed: ${error}`);
    }
  });

  test('the control planes of both clusters gone: traffic goes on, and they come back', async (t) => {
    for (const cluster of [west, east]) {
      const { failed, passed, error } = await under(async () => {
        for (const { metadata } of await meshPods(cluster, component.controlPlane)) {
          const pod = metadata?.name ?? '';
          await kubectl(cluster.name, [...inMesh, 'delete', 'pod', pod, '--force', '--grace-period=0']);
        }
        await answered();
        await rolledOut(cluster.name, DEFAULT_MESH_NAMESPACE, component.controlPlane);
      });
      t.diagnostic(`${cluster.name}: ${passed} requests, ${failed} failed`);
      assert.equal(failed, 0, `${failed} of ${passed + failed} failed: ${error}`);
      assert.ok((await meshPods(cluster, component.controlPlane)).every(isReady));
    }
  });

  test('a control plane that stays away: traffic goes on', async (t) => {
    t.after(async () => {
      await scale(component.controlPlane, 1);
      await rolledOut('west', DEFAULT_MESH_NAMESPACE, component.controlPlane);
    });
    const { failed, passed, error } = await under(async () => {
      await scale(component.controlPlane, 0);
      await eventually(
        'the control plane to go',
        async () => (await meshPods(west, component.controlPlane)).length === 0,
      );
    });
    t.diagnostic(`${passed} requests, ${failed} failed`);
    assert.equal(failed, 0, `${failed} of ${passed + failed} failed: ${error}`);
  });

  test('a node stopped: its gateway is told dead, requests fail at once, and all heals when it is back', async (t) => {
    let isBack = false;
    // A node that reports nothing new is silent for five minutes, in which nobody could see that it is ready.
    t.after(() => (isBack ? undefined : startCluster('west')));
    const began = performance.now();
    await run(['docker', 'stop', nodeOf('west')]);
    await eventually(
      'east to see that the gateway of west is dead',
      async () => (await linkCondition(east, 'west', 'GatewayAlive')) === 'False',
    );
    t.diagnostic(`detected ${Math.round((performance.now() - began) / 1000)} s after \`docker stop\` began`);
    // The Link's status and the mirrors are written by two threads.
    await eventually('mirrors to stay, and not to be ready', async () => {
      const { items } = await east.client.list(resources.endpointSlices, {
        namespace: MESHED,
        labelSelector: `${label.mirrorCluster}=west`,
      });
      const endpoints = items.flatMap((slice) => slice.endpoints ?? []);
      return endpoints.length > 0 && endpoints.every(({ conditions }) => conditions?.ready === false);
    });
    await eventually('a request to be refused by its sidecar', async () => {
      const { status } = await request(east, MESHED, 'web', `http://web-west.${MESHED}/`);
      return status >= 500;
    });

    const started = performance.now();
    await startCluster('west');
    isBack = true;
    await eventually(
      'east to see the gateway of west again',
      async () => (await linkCondition(east, 'west', 'GatewayAlive')) === 'True',
    );
    await answered();
    t.diagnostic(
      `answered again ${Math.round((performance.now() - started) / 1000)} s after its start began`,
    );
    // The load's sidecar has found its way; that of another pod may wait before it tries again.
    await eventually('another pod to be answered', async () => {
      const { status } = await request(east, MESHED, 'web', `http://web-west.${MESHED}/`);
      return status === 200;
    });
  });
});
