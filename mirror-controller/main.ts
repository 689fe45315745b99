/** The mirror controller's process: environment in, signals out. */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { component, env } from '../api/names.ts';
import { inClusterConfig, serviceAccountTokenFile } from '../kubernetes/in-cluster.ts';
import { errorMessage } from '../kubernetes/log.ts';
import { registerReadings } from '../kubernetes/metrics.ts';
import {
  createOwnLog,
  endProcess,
  EXIT_CONFIG,
  EXIT_FAILED,
  hearSignals,
  outliveFaults,
} from '../log/index.ts';
import {
  createResolver,
  createWorkloadIdentity,
  workloadIdentityOptionsFromEnv,
} from '../workload-identity/index.ts';
import { configFromEnv } from './config.ts';
import { startMirrorController } from './mirror-controller.ts';

const ownLog = createOwnLog({ component: component.mirrorController }, process.env[env.logLevel] ?? 'info');
const { log: logger } = ownLog;
outliveFaults(logger);

const settings = await orEnd(EXIT_CONFIG, readEnvironment);
await orEnd(EXIT_FAILED, () => run(settings));

async function orEnd<T>(code: number, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    logger.error({ error: errorMessage(error) }, 'the mirror controller can not start');
    return endProcess(ownLog, code);
  }
}

function readEnvironment() {
  return {
    config: configFromEnv(),
    api: inClusterConfig(),
    identityOptions: workloadIdentityOptionsFromEnv(process.env, { logger }),
  };
}

async function run({ config, api, identityOptions }: ReturnType<typeof readEnvironment>): Promise<void> {
  const { server, ca } = api;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const identity = createWorkloadIdentity(identityOptions);
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
  const stop = (): void => {
    identity.stop();
    void controller
      .stop()
      .catch((error: unknown) => logger.error({ error: errorMessage(error) }, 'stopping failed'))
      .then(() => ownLog.close());
  };
  hearSignals(logger, stop);
  logger.info({ cluster: config.clusterId, admin: controller.adminPort }, 'the mirror controller runs');
}
