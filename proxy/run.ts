import { createOwnLog } from '../log/index.ts';
import type { Logger } from '../workload-identity/index.ts';
import { backgroundThreadsGiveWay } from './background-threads.ts';
import { ConfigError, type MeshConfig } from './config.ts';
import { giveSpareMemoryBack } from './spare-memory.ts';

/** Exit code of an invalid configuration: EX_USAGE of sysexits.h. Starting again would not help. */
const EXIT_CONFIG = 64;

/** What is started and, on SIGTERM or SIGINT, drained. */
export interface Part {
  drain(): Promise<void>;
}

/** Runs a part as a process: reads its configuration (exit 64 when that cannot be used), starts it, drains it on SIGTERM and SIGINT, and exits 0. */
export async function run<C extends MeshConfig>(
  part: string,
  read: (env: NodeJS.ProcessEnv) => C,
  start: (config: C, options: { log: Logger; shutDown: () => void }) => Promise<Part>,
): Promise<void> {
  const config = readConfig(read);
  if (config === undefined) return;
  const ownLog = createOwnLog({ name: part }, config.logLevel);
  const { log } = ownLog;
  // A fault in one connection must not end the others: it is told, and the process goes on.
  process.on('uncaughtException', (error) => log.error({ error: error.stack }, 'uncaught exception'));
  process.on('unhandledRejection', (error) => log.error({ error: String(error) }, 'unhandled rejection'));
  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    log.info({ reason }, 'draining');
    void end();
  };
  const end = async (): Promise<void> => {
    let code = 0;
    try {
      await (await starting).drain();
    } catch (error) {
      log.error({ error: String(error) }, 'the drain failed');
      code = 1;
    }
    await ownLog.close();
    process.exit(code);
  };
  const starting = start(config, { log, shutDown: () => stop('/shutdown') });
  await starting;
  backgroundThreadsGiveWay();
  void giveSpareMemoryBack();
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function readConfig<C>(read: (env: NodeJS.ProcessEnv) => C): C | undefined {
  try {
    return read(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = EXIT_CONFIG;
    return undefined;
  }
}
