import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createOwnLog, toDescriptorAtOnce } from '../log/index.ts';
import { parseConfig } from './config.ts';
import type { ClusterConfig } from './config.ts';
import { startCluster } from './index.ts';

const STDERR = 2;
/** Exit codes: bad input, and a start that failed. */
const EXIT_USAGE = 1;
const EXIT_FAILED = 2;
/** A second signal means that the person has waited long enough. */
const HURRY_MS = 0;

async function main(): Promise<void> {
  const level = process.env['ISTHMUS_LOG_LEVEL'] ?? 'info';
  const { log: logger } = createOwnLog({ name: 'embedded-cluster' }, level, toDescriptorAtOnce(STDERR));

  let config: ClusterConfig;
  try {
    config = parseConfig(process.argv.slice(2), process.env, (path) => readFileSync(path, 'utf8'));
  } catch (error) {
    logger.fatal({}, error instanceof Error ? error.message : String(error));
    process.exitCode = EXIT_USAGE;
    return;
  }
  // A cluster outlives one bad turn of one of its parts: tell it and go on.
  process.on('unhandledRejection', (reason) => {
    logger.error({ reason: reason instanceof Error ? reason.stack : String(reason) }, 'unhandled rejection');
  });
  try {
    const cluster = await startCluster({ ...config.cluster, logger });
    let asked = false;
    const stop = (): void => {
      void cluster.stop(asked ? HURRY_MS : undefined).then(() => process.exit(0));
      asked = true;
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    if (config.exitWithStdin) process.stdin.once('close', stop).resume();
    const kubeconfig = writeKubeconfig(config.cluster.dataDir, cluster.kubeconfig);
    process.stdout.write(
      `${JSON.stringify({ ready: true, url: cluster.url, kubeconfig, dns: cluster.dnsServer })}\n`,
    );
  } catch (error) {
    logger.fatal(
      { error: error instanceof Error ? error.stack : String(error) },
      'the cluster could not be started',
    );
    process.exitCode = EXIT_FAILED;
  }
}

/** Holds a private key, which must not stand in what is printed: standard output often ends in a log. Answers the file's path. */
function writeKubeconfig(dataDir: string, text: string): string {
  const file = join(dataDir, 'kubeconfig');
  const draft = `${file}.tmp`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, file);
  return file;
}

await main();
