import assert from 'node:assert/strict';
import { at, type Json } from '../json.ts';
import { deployment, pod } from '../objects.ts';
import type { Scenario, Theme } from '../scenario.ts';

const POLICY = 'policy/v1';

function budget(name: string, spec: Json): Json {
  return { apiVersion: POLICY, kind: 'PodDisruptionBudget', metadata: { name }, spec };
}

const selector = { matchLabels: { app: 'guarded' } };

/** A pod on a node that is not there, so that nothing but the scenario says how it fares. */
async function podOnNode(s: Scenario, name: string, ready: boolean, metadata: Json = {}): Promise<void> {
  await s.expect(201, 'POST', s.path('pods'), {
    body: pod(
      name,
      { nodeName: `${s.id}-node`, serviceAccountName: 'guarded' },
      { labels: { app: 'guarded' }, ...metadata },
    ),
    record: false,
  });
  // No kubelet will ever say that it has ended: its namespace would wait for it.
  s.after(() => s.client.call('DELETE', `${s.path('pods')}/${name}?gracePeriodSeconds=0`));
  const condition = { type: 'Ready', status: ready ? 'True' : 'False', lastProbeTime: null };
  await s.patch(
    200,
    'merge',
    `${s.path('pods')}/${name}/status`,
    { status: { phase: 'Running', conditions: [condition] } },
    { record: false },
  );
}

async function account(s: Scenario): Promise<void> {
  await s.expect(201, 'POST', s.path('serviceaccounts'), {
    body: { metadata: { name: 'guarded' } },
    record: false,
  });
}

function evict(s: Scenario, name: string, options: Json = {}): { path: string; body: Json } {
  return {
    path: `${s.path('pods')}/${name}/eviction`,
    body: { apiVersion: POLICY, kind: 'Eviction', metadata: { name }, ...options },
  };
}

/** Waits until the controller has counted all the pods, which it sees one after the other, and compares what it says of them. */
async function counted(
  s: Scenario,
  name: string,
  allowed: number,
  healthy: number,
  pods: number,
): Promise<Json> {
  await s.until(
    `${name} allows ${allowed} of ${healthy}, and knows of ${pods}`,
    `${s.path('poddisruptionbudgets', POLICY)}?fieldSelector=metadata.name%3D${name}`,
    (event) =>
      at(event, 'object.status.disruptionsAllowed') === allowed &&
      at(event, 'object.status.currentHealthy') === healthy &&
      at(event, 'object.status.expectedPods') === pods &&
      at(event, 'object.status.observedGeneration') === at(event, 'object.metadata.generation'),
  );
  return s.expect(200, 'GET', `${s.path('poddisruptionbudgets', POLICY)}/${name}`, {
    pick: ({ spec, status }) => ({ spec, status: { ...(status as Json), disruptedPods: undefined } }),
  });
}

export const disruption: Theme = {
  name: 'disruption',
  scenarios: {
    'a budget counts the pods that it guards': async (s) => {
      await account(s);
      const budgets = s.path('poddisruptionbudgets', POLICY);
      const made = await s.expect(201, 'POST', budgets, { body: budget('b', { minAvailable: 1, selector }) });
      assert.equal(at(made, 'metadata.generation'), 1);
      await counted(s, 'b', 0, 0, 0);
      await podOnNode(s, 'p', true);
      await counted(s, 'b', 0, 1, 1);
      await podOnNode(s, 'q', true);
      await podOnNode(s, 'r', false);
      await counted(s, 'b', 1, 2, 3);
      await s.patch(200, 'merge', `${budgets}/b`, { spec: { minAvailable: 2 } });
      await counted(s, 'b', 0, 2, 3);
      await s.patch(200, 'merge', `${budgets}/b`, { spec: { minAvailable: 0 } });
      await counted(s, 'b', 2, 2, 3);
    },
    'a share of a Deployment is a share of what it wants': async (s) => {
      await s.expect(201, 'POST', s.path('deployments', 'apps/v1'), {
        body: deployment('guarded', { replicas: 3 }),
        record: false,
      });
      const budgets = s.path('poddisruptionbudgets', POLICY);
      // One after the other: a pod that comes wakes only one of the budgets it is under.
      for (const [name, spec, desired] of [
        ['most', { minAvailable: '50%', selector }, 2],
        ['few', { maxUnavailable: 1, selector }, 2],
      ] as const) {
        await s.expect(201, 'POST', budgets, { body: budget(name, spec) });
        await s.until(
          'its pods are counted',
          `${budgets}?fieldSelector=metadata.name%3D${name}`,
          (event) =>
            at(event, 'object.status.expectedPods') === 3 &&
            at(event, 'object.status.desiredHealthy') === desired,
        );
        await s.expect(200, 'GET', `${budgets}/${name}`, { pick: (body) => body['status'] });
      }
    },
    'budgets that are refused': async (s) => {
      for (const spec of [
        { minAvailable: 1, maxUnavailable: 1, selector },
        { minAvailable: -1, selector },
        { minAvailable: '110%', selector },
        { maxUnavailable: 'x', selector },
        { minAvailable: 1, selector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
        { maxUnavailable: 1, selector, unhealthyPodEvictionPolicy: 'Sometimes' },
      ]) {
        await s.expect(422, 'POST', s.path('poddisruptionbudgets', POLICY), { body: budget('b', spec) });
      }
      await s.expect(201, 'POST', s.path('poddisruptionbudgets', POLICY), { body: budget('none', {}) });
    },
    'an eviction deletes where the budget has room, and counts against it': async (s) => {
      await account(s);
      for (const name of ['p', 'q', 'r']) await podOnNode(s, name, true);
      await s.expect(201, 'POST', s.path('poddisruptionbudgets', POLICY), {
        body: budget('b', { minAvailable: 2, selector }),
        record: false,
      });
      await counted(s, 'b', 1, 3, 3);
      const { path, body } = evict(s, 'p');
      await s.expect(201, 'POST', `${path}?dryRun=All`, { body });
      await s.expect(201, 'POST', path, { body: { ...body, deleteOptions: { dryRun: ['All'] } } });
      await s.expect(200, 'GET', `${s.path('pods')}/p`, { pick: (live) => at(live, 'metadata.name') });
      await s.expect(201, 'POST', path, { body });
      const gone = await s.client.call('GET', `${s.path('pods')}/p`);
      assert.ok(at(gone.body, 'metadata.deletionTimestamp') !== undefined);
      await counted(s, 'b', 0, 2, 3);
      const second = evict(s, 'q');
      await s.expect(429, 'POST', second.path, { body: second.body });
      await s.expect(200, 'DELETE', `${s.path('pods')}/p?gracePeriodSeconds=0`, { record: false });
      await s.expect(200, 'DELETE', `${s.path('poddisruptionbudgets', POLICY)}/b`);
      await s.expect(201, 'POST', second.path, {
        body: { ...second.body, deleteOptions: { gracePeriodSeconds: 0 } },
      });
      await s.expect(404, 'GET', `${s.path('pods')}/q`);
    },
    'what a budget does not guard is evicted': async (s) => {
      await account(s);
      const budgets = s.path('poddisruptionbudgets', POLICY);
      await s.expect(201, 'POST', budgets, {
        body: budget('b', { minAvailable: 1, selector }),
        record: false,
      });
      await podOnNode(s, 'other', true, { labels: { app: 'other' } });
      await podOnNode(s, 'healthy', true);
      await podOnNode(s, 'sick', false);
      await s.expect(201, 'POST', s.path('pods'), {
        body: pod('waiting', { serviceAccountName: 'guarded' }, { labels: { app: 'guarded' } }),
        record: false,
      });
      await counted(s, 'b', 0, 1, 3);
      for (const [name, code] of [
        ['other', 201],
        ['waiting', 201],
        ['sick', 201],
        ['healthy', 429],
      ] as const) {
        const { path, body } = evict(s, name);
        await s.expect(code, 'POST', path, { body });
      }
    },
    'evictions that are refused': async (s) => {
      await account(s);
      const none = evict(s, 'none');
      await s.expect(404, 'POST', none.path, { body: none.body });
      await podOnNode(s, 'p', true);
      const { path, body } = evict(s, 'p');
      await s.call('POST', path, { body: { ...body, metadata: { name: 'other' } } });
      await s.call('POST', path, {
        body: { ...body, deleteOptions: { preconditions: { uid: '11111111-1111-1111-1111-111111111111' } } },
        pick: ({ code, reason }) => ({ code, reason }),
      });
      const budgets = s.path('poddisruptionbudgets', POLICY);
      for (const name of ['one', 'two']) {
        await s.expect(201, 'POST', budgets, { body: budget(name, { minAvailable: 0, selector }) });
        await counted(s, name, 1, 1, 1);
      }
      await s.expect(500, 'POST', path, { body });
      await s.call('GET', path);
    },
  },
};
