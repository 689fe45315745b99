import { component, object } from '../../api/names.ts';
import { createEventRecorder } from '../../kubernetes/events.ts';
import { runLeaderElection } from '../../kubernetes/lease.ts';
import { type Log, silentLog } from '../../kubernetes/log.ts';
import type { KubernetesClient } from '../../kubernetes/types.ts';
import type { DestinationSettings } from '../settings.ts';
import type { Views } from '../views.ts';
import type { ClusterWatch } from '../watch-cluster.ts';
import { reportPolicies } from './policy-reporter.ts';

/** Takes part in the election of who tells what becomes of policies, once the cluster has been read. Resolves soon after `signal` aborts. */
export async function reportInTurn(
  deps: {
    client: KubernetesClient;
    views: Views;
    watch: Pick<ClusterWatch, 'synced'>;
    settings: DestinationSettings;
    podName: string;
    logger?: Log;
  },
  signal: AbortSignal,
): Promise<void> {
  const { client, views, watch, settings, podName, logger = silentLog } = deps;
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  // From half a picture it would tell that things are missing.
  await Promise.race([watch.synced, aborted]);
  if (signal.aborted) return;
  const events = createEventRecorder(client, {
    component: component.controlPlane,
    instance: podName,
    logger,
  });
  await runLeaderElection(
    client,
    {
      namespace: settings.meshNamespace,
      name: object.policyLease,
      identity: podName,
      lead: (term) => reportPolicies({ client, views, settings, events, log: logger }, term),
      logger,
    },
    signal,
  );
  await events.stop();
}
