/** The init container that redirects a pod's connections to its sidecar. */
import { env as name, redirectEnv } from '../api/names.ts';
import { createOwnLog, EXIT_CONFIG, EXIT_FAILED, toDescriptorAtOnce } from '../log/index.ts';
import { applyRedirect } from './apply.ts';
import { redirectConfig } from './config.ts';
import { redirectPlan } from './plan.ts';

const STDOUT = 1;

function main(): number {
  const level = process.env[name.logLevel] ?? 'info';
  const { log } = createOwnLog({ name: 'redirect' }, level, toDescriptorAtOnce(STDOUT));
  let plan;
  try {
    requireInjector(process.env);
    plan = redirectPlan(redirectConfig(process.env));
  } catch (error) {
    process.stderr.write(`isthmus redirect: ${(error as Error).message}\n`);
    return EXIT_CONFIG;
  }
  try {
    const tool = applyRedirect(plan);
    log.info({ tool, ...plan }, 'connections of this pod are redirected to its sidecar');
    return 0;
  } catch (error) {
    process.stderr.write(`isthmus redirect: ${(error as Error).message}\n`);
    return EXIT_FAILED;
  }
}

/**
 * The injector always names the sidecar's user. Started by hand on a machine, this program would turn all of the
 * machine's connections to a sidecar that is not there.
 */
function requireInjector(env: NodeJS.ProcessEnv): void {
  if (env[redirectEnv.proxyUid] !== undefined) return;
  throw new Error(
    `${redirectEnv.proxyUid} is not set: the injector sets it, and this runs nowhere but in a pod`,
  );
}

process.exitCode = main();
