/** The control plane's process. */
import { createClient } from '../kubernetes/client.ts';
import { inClusterConfig } from '../kubernetes/in-cluster.ts';
import { errorMessage } from '../kubernetes/log.ts';
import { createOwnLog } from '../log/index.ts';
import type { ClientConfig } from '../kubernetes/types.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { settingsFromEnvironment, type ControlPlaneSettings } from './environment.ts';

/** Exit code of an environment that can't be used: EX_USAGE of sysexits.h. Starting again would not help. */
const EXIT_CONFIG = 64;
/** Exit code of a start that failed for what may have passed by the next: an address that is taken. */
const EXIT_FAILED = 1;

try {
  const settings = settingsFromEnvironment(process.env);
  await run(settings, inClusterConfig());
} catch (error) {
  process.stderr.write(`isthmus control-plane: ${errorMessage(error)}\n`);
  process.exit(EXIT_CONFIG);
}

/** Runs the control plane until it is told to stop. Never rejects: a start that fails ends the process. */
async function run(settings: ControlPlaneSettings, api: ClientConfig): Promise<void> {
  const ownLog = createOwnLog({ name: 'control-plane' }, settings.logLevel);
  const { log } = ownLog;
  // A fault in one call must not end the others: it is told, and the process goes on.
  process.on('uncaughtException', (error) => log.error({ error: error.stack }, 'uncaught exception'));
  process.on('unhandledRejection', (error) =>
    log.error({ error: errorMessage(error) }, 'unhandled rejection'),
  );
  const client = createClient(api, { userAgent: 'isthmus-control-plane', logger: log });
  let controlPlane: ControlPlane;
  try {
    controlPlane = await startControlPlane({ settings, client, log });
  } catch (error) {
    log.error({ error: errorMessage(error) }, 'the control plane can not start');
    await ownLog.close();
    process.exit(EXIT_FAILED);
  }
  const stop = async (): Promise<void> => {
    await controlPlane.stop();
    await client.close();
    await ownLog.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping');
      void stop();
    });
  }
}
