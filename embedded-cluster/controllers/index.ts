import { reconcileOnce, runController } from './controller.ts';
import type { ControllerContext, RunningController } from './controller.ts';
import { deployments } from './deployment.ts';
import { disruption } from './disruption.ts';
import { endpointSlices } from './endpoint-slices.ts';
import { eventTtl } from './event-ttl.ts';
import { runGarbageCollector } from './garbage-collector.ts';
import { jobs } from './job.ts';
import { loadBalancer } from './load-balancer.ts';
import { namespaceContents } from './namespace-contents.ts';
import { namespaceDeletion } from './namespace-deletion.ts';
import { replicaSets } from './replica-set.ts';
import { scheduler } from './scheduler.ts';

/**
 * Runs what a kube-controller-manager and a kube-scheduler run. `rootCa`: PEM of the API server's CA. `contextFor`
 * gives each component its own event source.
 */
export function runControllers(
  contextFor: (component: string) => ControllerContext,
  rootCa: string,
): { stop(): Promise<void> } {
  const run = (
    component: string,
    make: (context: ControllerContext) => Parameters<typeof runController>[1],
  ) => {
    const context = contextFor(component);
    return runController(context, make(context));
  };
  const running: RunningController[] = [
    run('namespace-controller', (context) => namespaceContents(context, rootCa)),
    run('namespace-controller', namespaceDeletion),
    run('default-scheduler', scheduler),
    run('deployment-controller', deployments),
    run('replicaset-controller', replicaSets),
    run('job-controller', jobs),
    run('endpoint-slice-controller', endpointSlices),
    run('service-controller', loadBalancer),
    run('controllermanager', disruption),
    run('event-ttl-controller', eventTtl),
    runGarbageCollector(contextFor('garbage-collector-controller')),
  ];
  return {
    async stop() {
      await Promise.all(running.map((controller) => controller.stop()));
    },
  };
}

/** Brings what tells clients where to connect in line with the pods' readiness, once: for a start, before anybody can read it. */
export async function settleEndpoints(context: ControllerContext): Promise<void> {
  await reconcileOnce(context, endpointSlices(context));
  await reconcileOnce(context, loadBalancer(context));
}
