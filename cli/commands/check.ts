import { checksToJson, CheckPrinter } from '../check/report.ts';
import { checksFor } from '../check/registry.ts';
import { type CheckResult, runChecks, succeeded } from '../check/run.ts';
import { type ClusterAccess, openCluster, openClusterById } from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { parseDuration } from '../durations.ts';
import { EXIT_USER, UserError } from '../errors.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput, wantsColours } from '../output.ts';

interface CheckArguments extends GlobalArguments {
  output: 'table' | 'short' | 'json';
  wait: string;
  pre: boolean;
  proxy: boolean;
  namespace: string | undefined;
  expectedVersion: string | undefined;
}

export const checkCommand = defineCommand<CheckArguments>({
  command: 'check',
  describe: 'Look whether the mesh works, and say what to do where it does not',
  builder: (yargs) =>
    yargs
      .options({
        pre: { type: 'boolean', default: false, describe: 'Only what an installation needs' },
        proxy: { type: 'boolean', default: false, describe: 'The proxies of the data plane as well' },
        namespace: {
          alias: 'n',
          type: 'string',
          describe: 'With --proxy: whose proxies to look at (default: all)',
        },
        output: {
          alias: 'o',
          type: 'string',
          choices: ['table', 'short', 'json'],
          default: 'table',
          describe: 'Format of the output; short shows only what is not well',
        },
        wait: { type: 'string', default: '30s', describe: 'Time for what may mend itself to do so' },
        'expected-version': { type: 'string', describe: 'Version that this command should be of' },
      })
      .example('$0 check --pre', 'Before an installation')
      .example('$0 check --proxy -n web', "Everything, and the proxies of namespace 'web'"),
  handler: async (args) => {
    if (args.pre && args.proxy) {
      throw new UserError(
        '--pre and --proxy contradict each other',
        'Before an installation there are no proxies.',
      );
    }
    const wait = parseDuration(args.wait, 'wait');
    const cluster = once(() => openCluster(args));
    const printer = new CheckPrinter((text) => standardOutput.out(text), {
      coloured: wantsColours(process.stdout),
      onlyProblems: args.output === 'short',
    });
    const isJson = args.output === 'json';
    try {
      const results = await runChecks(checksFor(args), {
        meshNamespace: args.isthmusNamespace,
        open: cluster.get,
        openById: (clusterId) => openClusterById(clusterId, args.kubeconfig),
        now: Date.now,
        dataPlaneNamespace: args.namespace,
        expectedVersion: args.expectedVersion,
        deadline: performance.now() + wait,
        onResult: (result) => {
          clearProgress();
          if (!isJson) printer.print(result);
        },
        onRetry: showProgress,
      });
      clearProgress();
      if (isJson) standardOutput.out(`${JSON.stringify(checksToJson(results), null, 2)}\n`);
      else printer.end(results);
      if (!succeeded(results)) process.exitCode = EXIT_USER;
    } finally {
      await cluster.close();
    }
  },
});

/** Opens the cluster when it is first asked for; a failure is not kept, so that a later round may succeed. */
function once(open: () => Promise<ClusterAccess>): {
  get: () => Promise<ClusterAccess>;
  close: () => Promise<void>;
} {
  let opening: Promise<ClusterAccess> | undefined;
  return {
    get: async () => {
      opening ??= open();
      try {
        return await opening;
      } catch (error) {
        opening = undefined;
        throw error;
      }
    },
    close: async () => (await opening)?.client.close(),
  };
}

/** What is waited for, on a line of its own that the next output takes the place of; only for people. */
function showProgress({ check, verdict }: CheckResult): void {
  if (!standardOutput.interactive || verdict.result === 'success') return;
  const [why = ''] = verdict.message.split('\n');
  standardOutput.err(`\r\u001b[K… ${check.description}: ${why} -- retrying`);
}

function clearProgress(): void {
  if (standardOutput.interactive) standardOutput.err('\r\u001b[K');
}
