import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../../log/index.ts';
import type { Deployment, Pod } from '../../api/kubernetes-types.ts';
import { createEventRecorder } from '../events.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { MemoryApi } from '../testing/memory-api.ts';
import { getAs, listAs } from '../typed-client.ts';
import { runController } from './controller.ts';
import { deployments } from './deployment.ts';
import { isActive, isReady } from './pods.ts';
import { replicaSets } from './replica-set.ts';
import { rolloutBounds } from './rollout.ts';

const DEPLOYMENTS = 'deployments.apps';
const TICK_MS = 1000;

/** What happens to a deployment's pods and to itself. `pick` chooses among the pods there are. */
type Step =
  | { do: 'ready' | 'unready' | 'fail' | 'delete'; pick: number }
  | { do: 'template'; version: number }
  | { do: 'scale'; replicas: number };

const podStep = (...kinds: ('ready' | 'unready' | 'fail' | 'delete')[]): fc.Arbitrary<Step> =>
  fc.record({ do: fc.constantFrom(...kinds), pick: fc.nat(20) });
const templateStep: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('template' as const),
  version: fc.nat(2),
});
const scaleStep: fc.Arbitrary<Step> = fc.record({ do: fc.constant('scale' as const), replicas: fc.nat(6) });

/** A Deployment with its controllers, without a node: the test decides what becomes of the pods. */
async function rollout(spec: Partial<NonNullable<Deployment['spec']>>) {
  const api = new MemoryApi();
  const clock = new FakeClock();
  api.now = () => clock.now();
  const events = createEventRecorder({ client: api, clock, component: 'test' });
  const context = { client: api, clock, logger: silentLog, events };
  const running = [deployments, replicaSets].map((make) => runController(context, make(context)));
  const template = (version: number) => ({
    metadata: { labels: { app: 'd' } },
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: `app:${version}` }] },
  });
  await api.seed<Deployment>(DEPLOYMENTS, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', namespace: 'default' },
    spec: { selector: { matchLabels: { app: 'd' } }, template: template(0), ...spec },
  });
  const pods = (): Pod[] => listAs<Pod>(api, 'pods').filter(isActive);
  const setReady = (pod: Pod, ready: boolean): Promise<unknown> =>
    setStatus(pod, {
      phase: 'Running',
      conditions: [
        {
          type: 'Ready',
          status: ready ? 'True' : 'False',
          lastTransitionTime: new Date(clock.now()).toISOString(),
        },
      ],
    });
  const setStatus = (pod: Pod, status: Pod['status']): Promise<unknown> =>
    api.patch('pods', 'default', pod.metadata?.name ?? '', { spec: { nodeName: 'node' }, status });
  const take = async (step: Step): Promise<void> => {
    if (step.do === 'template') await patch({ template: template(step.version) });
    else if (step.do === 'scale') await patch({ replicas: step.replicas });
    else {
      const all = pods();
      const pod = all[step.pick % Math.max(1, all.length)];
      if (pod === undefined) return;
      if (step.do === 'delete') await api.delete('pods', 'default', pod.metadata?.name ?? '');
      else if (step.do === 'fail') await setStatus(pod, { phase: 'Failed' });
      else await setReady(pod, step.do === 'ready');
    }
    await clock.advance(TICK_MS);
  };
  const patch = (changes: object): Promise<unknown> =>
    api.patch(DEPLOYMENTS, 'default', 'd', { spec: changes });
  /** From now on everything that starts becomes ready. */
  const calm = async (): Promise<void> => {
    for (let turn = 0; turn < 60; turn += 1) {
      const waiting = pods().filter((pod) => !isReady(pod));
      for (const pod of waiting) await setReady(pod, true);
      await clock.advance(TICK_MS);
      if (waiting.length === 0 && turn > 5) return;
    }
  };
  await clock.advance(TICK_MS);
  return {
    api,
    clock,
    pods,
    take,
    calm,
    deployment: () => getAs<Deployment>(api, DEPLOYMENTS, 'default', 'd'),
    condition: (type: string) =>
      getAs<Deployment>(api, DEPLOYMENTS, 'default', 'd')?.status?.conditions?.find((c) => c.type === type),
    stop: () => Promise.all(running.map((controller) => controller.stop())),
  };
}

type Rollout = Awaited<ReturnType<typeof rollout>>;

function images(at: Rollout): (string | undefined)[] {
  return at.pods().map((pod) => pod.spec?.containers[0]?.image);
}

/** Every pod is of the template and ready, there are as many as asked for, and the status says so. */
function assertDone(at: Rollout): void {
  const { spec, status, metadata } = at.deployment() ?? {};
  const wanted = spec?.replicas ?? -1;
  const image = spec?.template.spec?.containers[0]?.image;
  assert.deepEqual(
    images(at),
    Array.from({ length: wanted }, () => image),
  );
  assert.ok(at.pods().every(isReady));
  assert.equal(status?.observedGeneration, metadata?.generation);
  assert.equal(status?.availableReplicas ?? 0, wanted);
  assert.equal(at.condition('Progressing')?.reason, 'NewReplicaSetAvailable');
}

await it('never has more pods than the surge allows, whatever fails, and is complete once nothing does', async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: podStep('ready', 'unready', 'fail', 'delete') },
      { weight: 1, arbitrary: templateStep },
    ),
    { maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(5), fc.nat(2), fc.nat(2), steps, async (replicas, surge, unavailable, all) => {
      const strategy = {
        type: 'RollingUpdate' as const,
        rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable },
      };
      const at = await rollout({ replicas, strategy });
      const { maxSurge } = rolloutBounds(replicas, surge, unavailable);
      for (const step of all) {
        await at.take(step);
        assert.ok(at.pods().length <= replicas + maxSurge, `${at.pods().length} pods`);
      }
      await at.calm();
      assertDone(at);
      await at.stop();
    }),
    { numRuns: 40 },
  );
});

await it('never takes more pods out of service than may be, when none fails of itself', async () => {
  const steps = fc.array(
    fc.oneof({ weight: 3, arbitrary: podStep('ready') }, { weight: 1, arbitrary: templateStep }),
    { maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.nat(2),
      fc.nat(2),
      steps,
      async (replicas, surge, unavailable, all) => {
        const rollingUpdate = { maxSurge: surge, maxUnavailable: unavailable };
        const at = await rollout({ replicas, strategy: { type: 'RollingUpdate', rollingUpdate } });
        await at.calm();
        const least = replicas - rolloutBounds(replicas, surge, unavailable).maxUnavailable;
        for (const step of all) {
          await at.take(step);
          const ready = at.pods().filter(isReady).length;
          assert.ok(ready >= least, `${ready} ready of at least ${least}`);
        }
        await at.calm();
        assertDone(at);
        await at.stop();
      },
    ),
    { numRuns: 40 },
  );
});

await it('recreates: pods of two templates are never there together, and it comes to its end', async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: podStep('ready', 'unready', 'fail', 'delete') },
      { weight: 1, arbitrary: templateStep },
    ),
    { maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(4), steps, async (replicas, all) => {
      const at = await rollout({ replicas, strategy: { type: 'Recreate' } });
      const mixed: string[] = [];
      const watch = at.api.watch('pods', { resourceVersion: '' }, () => {
        if (new Set(images(at)).size > 1) mixed.push(images(at).join(' '));
      });
      for (const step of all) await at.take(step);
      await at.calm();
      watch.close();
      assert.deepEqual(mixed, []);
      assertDone(at);
      await at.stop();
    }),
    { numRuns: 30 },
  );
});

await it('comes to its end when it is scaled at any moment', async () => {
  const steps = fc.array(fc.oneof(podStep('ready', 'fail', 'delete'), templateStep, scaleStep), {
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(fc.nat(4), steps, async (replicas, all) => {
      const at = await rollout({ replicas });
      for (const step of all) await at.take(step);
      await at.calm();
      assertDone(at);
      await at.stop();
    }),
    { numRuns: 30 },
  );
});

await it('says that it has stopped getting on after its deadline, and gets on when its pods do', async () => {
  const at = await rollout({ replicas: 2, progressDeadlineSeconds: 30 });
  await at.calm();
  assertDone(at);
  await at.take({ do: 'template', version: 1 });
  await at.clock.advance(20_000);
  assert.equal(at.condition('Progressing')?.status, 'True');
  await at.clock.advance(15_000);
  assert.equal(at.condition('Progressing')?.status, 'False');
  assert.equal(at.condition('Progressing')?.reason, 'ProgressDeadlineExceeded');
  assert.equal(at.condition('Available')?.status, 'True', 'the old pods serve on');
  await at.calm();
  assertDone(at);
  assert.equal(at.condition('Progressing')?.status, 'True');
  await at.stop();
});
