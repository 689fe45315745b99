/** The mirror controller's process: environment in, signals out. */
import pino from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { component } from '../api/names.ts';
import { inClusterConfig, serviceAccountTokenFile } from '../kubernetes/in-cluster.ts';
import { errorMessage } from '../kubernetes/log.ts';
import { registerReadings } from '../kubernetes/metrics.ts';
import {
  createResolver,
  createWorkloadIdentity,
  workloadIdentityOptionsFromEnv,
} from '../workload-identity/index.ts';
import { configFromEnv } from './config.ts';
import { startMirrorController } from './mirror-controller.ts';

const logger = pino({
  level: process.env['ISTHMUS_LOG_LEVEL'] ?? 'info',
  base: { component: component.mirrorController },
});

try {
  await run();
} catch (error) {
  logger.fatal({ error: errorMessage(error) }, 'the mirror controller can not start');
  process.exitCode = 1;
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
    controller.stop().catch((error: unknown) => {
      logger.error({ error: errorMessage(error) }, 'stopping failed');
    });
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
