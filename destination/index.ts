/** What proxies must know, as streams: endpoints, profiles, policies, exports. */
import type { Registry } from 'prom-client';

import { errorMessage, type Log } from '../kubernetes/log.ts';
import { createReflectorMetrics } from '../kubernetes/metrics.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { type Clock, systemClock } from '../workload-identity/index.ts';
import { createDestinationService, type DestinationService } from './destination-service.ts';
import { createExportsService, type ExportsService } from './exports.ts';
import { reportInTurn } from './status/report-in-turn.ts';
import { createStreamMetrics } from './metrics.ts';
import { createPolicyService, type PolicyService } from './policy-service.ts';
import type { DestinationSettings } from './settings.ts';
import { Views } from './views.ts';
import { watchCluster } from './watch-cluster.ts';

export type { DestinationService } from './destination-service.ts';
export type { ExportsService } from './exports.ts';
export { POLICY_KINDS, policyKinds } from './policy/kinds.ts';
export { findPolicyProblems } from './status/find-problems.ts';
export type { PolicyService } from './policy-service.ts';
export type { ServerStream } from './server-stream.ts';
export type { DestinationSettings } from './settings.ts';

export interface DestinationServices {
  destination: DestinationService;
  policy: PolicyService;
  exports: ExportsService;
  /** Resolves once the cluster has been read; never rejects. No call should be answered before. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  stop(): Promise<void>;
}

/** Starts to watch the cluster, and answers from what it sees. */
export function createDestinationServices(deps: {
  client: KubernetesClient;
  settings: DestinationSettings;
  registry: Registry;
  /** Of this replica: one of all tells what becomes of policies. Undefined: this one does not take part. */
  podName?: string;
  logger?: Log;
  clock?: Clock;
}): DestinationServices {
  const { client, settings, registry, podName, logger, clock = systemClock } = deps;
  const views = new Views(setImmediate, (key, error) => {
    const what = 'what clients are told could not be computed anew, and stays as it was';
    logger?.error({ about: key, error: errorMessage(error) }, what);
  });
  const watch = watchCluster(client, views.state, {
    metrics: createReflectorMetrics(registry),
    ...(logger === undefined ? {} : { logger }),
  });
  const streams = { views, clock, metrics: createStreamMetrics(registry) };
  const stopping = new AbortController();
  const reporting =
    podName === undefined ? undefined : reportInTurn({ ...deps, views, podName, watch }, stopping.signal);
  return {
    destination: createDestinationService(streams, settings),
    policy: createPolicyService(streams, settings, logger),
    exports: createExportsService(streams, settings),
    synced: watch.synced,
    get hasSynced() {
      return watch.hasSynced;
    },
    stop: async () => {
      stopping.abort();
      await reporting;
      await watch.stop();
    },
  };
}
