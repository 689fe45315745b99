import type { Registry } from 'prom-client';
import { object } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { systemClock } from '../kubernetes/clock.ts';
import { startAdmin } from '../kubernetes/http-admin.ts';
import { runLeaderElection } from '../kubernetes/lease.ts';
import type { Log } from '../kubernetes/log.ts';
import { createControllerMetrics, createReflectorMetrics } from '../kubernetes/metrics.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import type { Config } from './config.ts';
import type { ResolveHost } from './gateway-monitor.ts';
import { GatewayNodes } from './gateway-nodes.ts';
import { LinkManager } from './link-manager.ts';
import type { PlainConfig } from './messages.ts';
import { createLinkMetrics } from './metrics.ts';
import { clientConfig } from './plain-config.ts';
import { createProbe } from './probe-connection.ts';

export interface MirrorControllerOptions {
  config: Config;
  /** This cluster's API server. */
  local: PlainConfig;
  /** Of this process: probes show it to gateways. */
  identity: WorkloadIdentity;
  resolve: ResolveHost;
  registry: Registry;
  logger: Log;
  /** Milliseconds between two writes of a Link's status at least. Default a second. */
  statusIntervalMs?: number;
}

/** A running mirror controller. */
export interface MirrorController {
  readonly adminPort: number;
  /** Ends the links' workers, lets go of the lease and closes the admin server; mirrors stay. */
  stop(): Promise<void>;
}

/** Starts the admin server and the election; links are followed while this process leads. Rejects only when the admin port is taken. */
export async function startMirrorController(options: MirrorControllerOptions): Promise<MirrorController> {
  const { config, registry, logger } = options;
  const client = createClient(clientConfig(options.local), { logger });
  const metrics = {
    metrics: createLinkMetrics(registry),
    controllerMetrics: createControllerMetrics(registry),
    reflectorMetrics: createReflectorMetrics(registry),
  };
  let manager: LinkManager | undefined;
  const admin = await startAdmin({
    host: config.podIp,
    port: config.adminPort,
    registry,
    // One that waits for the lease is as ready as it can be.
    ready: () => (manager?.synced === false ? 'the first lists have not ended' : undefined),
  });
  const stopping = new AbortController();
  const election = runLeaderElection(
    client,
    {
      namespace: config.meshNamespace,
      name: object.mirrorLease,
      identity: config.podName,
      logger,
      lead: async (signal) => {
        const common = {
          ...metrics,
          client,
          meshNamespace: config.meshNamespace,
          clock: systemClock,
          random: Math.random,
          logger,
        };
        manager = new LinkManager({
          ...common,
          local: options.local,
          ownClusterId: config.clusterId,
          probe: createProbe(options.identity),
          resolve: options.resolve,
          workerHeapMiB: config.workerHeapMiB,
          logLevel: config.logLevel,
          statusIntervalMs: options.statusIntervalMs,
        });
        await Promise.all([manager.run(signal), new GatewayNodes(common).run(signal)]);
        manager = undefined;
      },
    },
    stopping.signal,
  );
  return {
    adminPort: admin.port,
    async stop() {
      stopping.abort();
      await election;
      await admin.close();
      await client.close();
    },
  };
}
