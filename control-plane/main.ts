/** The control plane's process. */
import { createClient } from '../kubernetes/client.ts';
import { inClusterConfig } from '../kubernetes/in-cluster.ts';
import { errorMessage } from '../kubernetes/log.ts';
import { createOwnLog } from '../log/index.ts';
import { startControlPlane } from './control-plane.ts';
import { settingsFromEnvironment } from './environment.ts';

/** Exit code of an environment that can't be used: EX_USAGE of sysexits.h. Starting again would not help. */
const EXIT_USAGE = 64;

async function main(): Promise<void> {
  const settings = settingsFromEnvironment(process.env);
  const ownLog = createOwnLog({ name: 'control-plane' }, settings.logLevel);
  const { log } = ownLog;
  // A fault in one call must not end the others: it is told, and the process goes on.
  process.on('uncaughtException', (error) => log.error({ error: error.stack }, 'uncaught exception'));
  process.on('unhandledRejection', (error) =>
    log.error({ error: errorMessage(error) }, 'unhandled rejection'),
  );
  const client = createClient(inClusterConfig(), { userAgent: 'isthmus-control-plane', logger: log });
  const controlPlane = await startControlPlane({ settings, client, log });
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

try {
  await main();
} catch (error) {
  process.stderr.write(`isthmus control-plane: ${errorMessage(error)}\n`);
  process.exit(EXIT_USAGE);
}
