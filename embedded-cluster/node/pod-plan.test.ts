import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { planPod } from './pod-plan.ts';
import type { ContainerView, PodView } from './pod-plan.ts';

/** A pod whose containers obey the plan; the test decides what happens to what runs. */
class Simulation {
  readonly view: PodView;
  readonly startedOrder: string[] = [];
  outcome: string | undefined;

  constructor(init: readonly boolean[], mains: number, restartPolicy: PodView['restartPolicy']) {
    const fresh = (name: string, sidecar: boolean): ContainerView => ({
      name,
      sidecar,
      state: { kind: 'created' },
      waitMs: 0,
    });
    this.view = {
      restartPolicy,
      init: init.map((sidecar, i) => fresh(`init-${i}`, sidecar)),
      main: Array.from({ length: mains }, (_, i) => fresh(`main-${i}`, false)),
      initialized: false,
    };
  }

  get all(): ContainerView[] {
    return [...this.view.init, ...this.view.main];
  }

  step(): void {
    const plan = planPod(this.view);
    this.view.initialized = plan.initialized;
    this.outcome = plan.outcome;
    for (const name of plan.start) {
      const container = this.all.find((c) => c.name === name);
      assert.ok(container !== undefined && container.state.kind !== 'running', `${name} runs already`);
      container.state = { kind: 'running', started: false };
      this.startedOrder.push(name);
    }
    if (plan.stopSidecars)
      for (const c of this.view.init)
        if (c.state.kind === 'running') c.state = { kind: 'exited', exitCode: 0 };
  }
}

await it('runs main containers only when each init container has ended well and each sidecar has started', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom('Always' as const, 'OnFailure' as const, 'Never' as const),
      fc.array(fc.tuple(fc.nat(10), fc.constantFrom('start', 'ok', 'fail')), { maxLength: 60 }),
      (init, mains, policy, events) => {
        const pod = new Simulation(init, mains, policy);
        pod.step();
        for (const [pick, what] of events) {
          const running = pod.all.filter((c) => c.state.kind === 'running');
          const target = running[pick % Math.max(1, running.length)];
          if (target === undefined) break;
          if (what === 'start') target.state = { kind: 'running', started: true };
          else target.state = { kind: 'exited', exitCode: what === 'ok' ? 0 : 1 };
          pod.step();
          if (pod.startedOrder.some((name) => name.startsWith('main'))) {
            const first = pod.startedOrder.findIndex((name) => name.startsWith('main'));
            const before = new Set(pod.startedOrder.slice(0, first));
            for (const c of pod.view.init)
              assert.ok(before.has(c.name), `${c.name} came after a main container`);
          }
          if (pod.outcome !== undefined) {
            assert.ok(
              pod.all.every((c) => c.state.kind !== 'running'),
              'nothing runs in a pod that has ended',
            );
            assert.notEqual(policy, 'Always');
          }
        }
      },
    ),
  );
});

await it('restarts a sidecar that ends while main containers run, whatever the policy', () => {
  const pod = new Simulation([true], 1, 'Never');
  pod.step();
  const [sidecar] = pod.view.init;
  assert.ok(sidecar !== undefined);
  sidecar.state = { kind: 'running', started: true };
  pod.step();
  sidecar.state = { kind: 'exited', exitCode: 1 };
  pod.step();
  assert.deepEqual(pod.startedOrder, ['init-0', 'main-0', 'init-0']);
});

await it('shows a wait instead of starting', () => {
  const pod = new Simulation([], 1, 'Always');
  const [main] = pod.view.main;
  assert.ok(main !== undefined);
  main.state = { kind: 'exited', exitCode: 1 };
  main.waitMs = 10_000;
  assert.deepEqual(planPod(pod.view).wait, [{ name: 'main-0', waitMs: 10_000 }]);
});
