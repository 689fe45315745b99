import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../../log/index.ts';
import type { KubernetesObject, OwnerReference } from '../../api/kubernetes-types.ts';
import { createEventRecorder } from '../events.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { MemoryApi } from '../testing/memory-api.ts';
import type { ResourceType } from '../types.ts';
import { runGarbageCollector } from './garbage-collector.ts';

type Policy = 'Background' | 'Foreground' | 'Orphan';

interface Plan {
  /** Of each object, owners among those before it, and whether it blocks their deletion. */
  owners: { of: number; blocks: boolean }[][];
  deletions: { of: number; policy: Policy }[];
  /** Objects that a foreign finalizer holds. */
  held: number[];
}

const COUNT = 8;
const plans: fc.Arbitrary<Plan> = fc.record({
  owners: fc.tuple(
    ...Array.from({ length: COUNT }, (_, i): fc.Arbitrary<Plan['owners'][0]> =>
      i === 0
        ? fc.constant([])
        : fc.uniqueArray(fc.record({ of: fc.nat(i - 1), blocks: fc.boolean() }), {
            maxLength: 2,
            selector: (owner) => owner.of,
          }),
    ),
  ),
  deletions: fc.uniqueArray(
    fc.record({
      of: fc.nat(COUNT - 1),
      policy: fc.constantFrom<Policy>('Background', 'Foreground', 'Orphan'),
    }),
    { minLength: 1, maxLength: 3, selector: (deletion) => deletion.of },
  ),
  held: fc.uniqueArray(fc.nat(COUNT - 1), { maxLength: 1 }),
});

const KINDS = ['configmaps', 'secrets'];
const kindOf = (i: number): string => KINDS[i % 2] ?? '';

async function world(plan: Plan) {
  const api = new MemoryApi();
  const clock = new FakeClock();
  const events = createEventRecorder({ client: api, clock, component: 'test' });
  const uids: string[] = [];
  for (const [i, owners] of plan.owners.entries()) {
    const ownerReferences = owners.map(({ of, blocks }): OwnerReference => ({
      apiVersion: 'v1',
      kind: of % 2 === 0 ? 'ConfigMap' : 'Secret',
      name: `o${of}`,
      uid: uids[of] ?? '',
      blockOwnerDeletion: blocks,
    }));
    const finalizers = plan.held.includes(i) ? ['test/held'] : [];
    const object = await api.seed<KubernetesObject>(kindOf(i), {
      apiVersion: 'v1',
      kind: i % 2 === 0 ? 'ConfigMap' : 'Secret',
      metadata: { name: `o${i}`, namespace: 'default', ownerReferences, finalizers },
    });
    uids.push(object.metadata?.uid ?? '');
  }
  const collector = runGarbageCollector({ client: api, clock, logger: silentLog, events });
  const get = (i: number) => api.get(kindOf(i), 'default', `o${i}`);
  return { api, clock, collector, get, uids };
}

/**
 * What is left when each deletion has settled before the next. `Orphan` first takes the references off; what has had owners and has none left goes, what
 * has one left loses the references to those that are gone.
 */
function survivors(plan: Plan): Set<number> {
  const left = new Set(plan.owners.keys());
  const references = plan.owners.map((owners) => new Set(owners.map(({ of }) => of)));
  for (const { of, policy } of plan.deletions) {
    if (policy === 'Orphan' && left.has(of)) for (const owners of references) owners.delete(of);
    left.delete(of);
    // Owners come before what they own, so one pass sees every consequence.
    for (const [i, owners] of references.entries()) {
      if (owners.size === 0) continue;
      for (const owner of owners) if (!left.has(owner)) owners.delete(owner);
      if (owners.size === 0) left.delete(i);
    }
  }
  return left;
}

/** Deletes by plan, one deletion settling before the next, and lets foreign finalizers go in the end. */
async function carryOut(plan: Plan, at: Awaited<ReturnType<typeof world>>): Promise<void> {
  const { api, clock, get } = at;
  await clock.advance(60_000);
  for (const { of, policy } of plan.deletions) {
    if (get(of) !== undefined && get(of)?.metadata.deletionTimestamp === undefined)
      await api.delete(kindOf(of), 'default', `o${of}`, { propagationPolicy: policy });
    await clock.advance(60_000);
  }
}

await it('leaves what still has an owner, deletes what has none left, lets orphans go, and no dangling reference', async () => {
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const free = { ...plan, held: [] };
      const at = await world(free);
      await carryOut(free, at);
      const left = new Set(plan.owners.keys().filter((i) => at.get(i) !== undefined));
      const wanted = survivors(free);
      assert.deepEqual([...left], [...wanted]);
      for (const i of left)
        for (const { uid } of at.get(i)?.metadata.ownerReferences ?? [])
          assert.ok(left.has(at.uids.indexOf(uid)), `o${i} names an owner that is gone`);
      await at.collector.stop();
    }),
    { numRuns: 150 },
  );
});

await it('keeps an owner that is deleted in the foreground until its blocking dependents have gone', async () => {
  await fc.assert(
    fc.asyncProperty(plans, fc.nat(COUNT - 1), async (plan, of) => {
      const foreground: Plan = { ...plan, deletions: [{ of, policy: 'Foreground' }] };
      const at = await world(foreground);
      const broken: string[] = [];
      const check = (): void => {
        if (at.get(of) !== undefined) return;
        for (const [i, owners] of plan.owners.entries())
          if (owners.some((owner) => owner.of === of && owner.blocks) && isNamedBy(at, i, of))
            broken.push(`o${i} outlives o${of}`);
      };
      const watches = KINDS.map((kind) => at.api.watch(kind, { resourceVersion: '' }, check));
      await carryOut(foreground, at);
      // What a finalizer holds goes on when that is taken off.
      for (const i of plan.held) {
        const object = at.get(i);
        if (object === undefined) continue;
        const finalizers = (object.metadata.finalizers ?? []).filter((name) => name !== 'test/held');
        await at.api.patch(kindOf(i), 'default', `o${i}`, { metadata: { finalizers } });
      }
      await at.clock.advance(60_000);
      for (const watch of watches) watch.close();
      assert.deepEqual(broken, []);
      assert.equal(at.get(of), undefined, 'it goes in the end');
      await at.collector.stop();
    }),
    { numRuns: 100 },
  );
});

function isNamedBy(at: Awaited<ReturnType<typeof world>>, dependent: number, owner: number): boolean {
  return at.get(dependent)?.metadata.ownerReferences?.some(({ uid }) => uid === at.uids[owner]) === true;
}

/** Serves definitions of custom kinds, and `widgets` from when a test says so. Knows which resources are watched. */
class ApiOfCustomKinds extends MemoryApi {
  readonly watched: string[] = [];
  servesWidgets = false;

  override resources(): readonly ResourceType[] {
    const built = super.resources();
    const custom = (group: string, plural: string): ResourceType[] =>
      built.slice(0, 1).map((type) => ({ ...type, group, plural, custom: true }));
    return [
      ...built,
      ...custom('apiextensions.k8s.io', 'customresourcedefinitions'),
      ...(this.servesWidgets ? custom('test.dev', 'widgets') : []),
    ];
  }

  override watch(...args: Parameters<MemoryApi['watch']>): { close(): void } {
    const [resource] = args;
    this.watched.push(resource);
    const watch = super.watch(...args);
    return {
      close: () => {
        this.watched.splice(this.watched.indexOf(resource), 1);
        watch.close();
      },
    };
  }
}

for (const stops of [false, true])
  await it(`follows a kind that is new ${stops ? 'no more when it has been stopped' : 'when it is served'}`, async () => {
    const api = new ApiOfCustomKinds();
    const clock = new FakeClock();
    const events = createEventRecorder({ client: api, clock, component: 'test' });
    const collector = runGarbageCollector({ client: api, clock, logger: silentLog, events });
    await api.seed<KubernetesObject>('customresourcedefinitions.apiextensions.k8s.io', {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.test.dev' },
    });
    api.servesWidgets = true;
    assert.ok(api.watched.length > 0 && !api.watched.includes('widgets.test.dev'));
    if (stops) await collector.stop();
    await clock.advance(60_000);
    if (stops) return assert.deepEqual(api.watched, []);
    assert.ok(api.watched.includes('widgets.test.dev'));
    await collector.stop();
    assert.deepEqual(api.watched, []);
  });
