/** The mirror controller's process: environment in, signals out. */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { component } from '../api/names.ts';
import { inClusterConfig, serviceAccountTokenFile } from '../kubernetes/in-cluster.ts';
import { errorMessage } from '../kubernetes/log.ts';
import { registerReadings } from '../kubernetes/metrics.ts';
import { createOwnLog } from '../log/index.ts';
import {
  createResolver,
  createWorkloadIdentity,
  workloadIdentityOptionsFromEnv,
} from '../workload-identity/index.ts';
import { configFromEnv } from './config.ts';
import { startMirrorController } from './mirror-controller.ts';

const ownLog = createOwnLog(
  { component: component.mirrorController },
  process.env['ISTHMUS_LOG_LEVEL'] ?? 'info',
);
const { log: logger } = ownLog;

try {
  await run();
} catch (error) {
  logger.error({ error: errorMessage(error) }, 'the mirror controller can not start');
  await ownLog.close();
  // Not by itself: what has been started already would keep the process.
  process.exit(1);
}

async function run(): Promise<void> {
  const config = configFromEnv();
  const { server, ca } = inClusterConfig();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const identity = createWorkloadIdentity(workloadIdentityOptionsFromEnv(process.env, { logger }));
  registerReadings(registry, () => identity.metrics());
  const resolveHostPort = createResolver();
  const controller = await startMirrorController({
    config,
    local: { server, ...(ca === undefined ? {} : { ca }), tokenFile: serviceAccountTokenFile() },
    identity,
    // The resolver takes host:port; only the host matters here.
    resolve: async (host) => (await resolveHostPort(`${host}:1`)).map((found) => found.address),
    registry,
    logger,
  });
  logger.info({ cluster: config.clusterId, admin: controller.adminPort }, 'the mirror controller runs');
  const stop = (): void => {
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
    identity.stop();
    void controller
      .stop()
      .catch((error: unknown) => logger.error({ error: errorMessage(error) }, 'stopping failed'))
      .then(() => ownLog.close());
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
