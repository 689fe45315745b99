/** The control plane's process. */
import { createClient } from '../kubernetes/client.ts';
import { inClusterConfig } from '../kubernetes/in-cluster.ts';
import { errorMessage } from '../kubernetes/log.ts';
import {
  createOwnLog,
  endProcess,
  EXIT_CONFIG,
  EXIT_FAILED,
  hearSignals,
  outliveFaults,
} from '../log/index.ts';
import type { ClientConfig } from '../kubernetes/types.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { settingsFromEnvironment, type ControlPlaneSettings } from './environment.ts';

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
  outliveFaults(log);
  const client = createClient(api, { userAgent: 'isthmus-control-plane', logger: log });
  let controlPlane: ControlPlane;
  try {
    controlPlane = await startControlPlane({ settings, client, log });
  } catch (error) {
    log.error({ error: errorMessage(error) }, 'the control plane can not start');
    return endProcess(ownLog, EXIT_FAILED);
  }
  const stop = async (): Promise<void> => {
    await controlPlane.stop();
    await client.close();
    await endProcess(ownLog, 0);
  };
  hearSignals(log, (signal) => {
    log.info({ signal }, 'stopping');
    void stop();
  });
}
