import { checks } from '../check/checks.ts';
import { CheckPrinter, checksToJson, runChecks, succeeded } from '../check/run.ts';
import { openCluster } from '../cluster-access.ts';
import { defineCommand } from '../define-command.ts';
import { parseDuration } from '../durations.ts';
import { EXIT_USER } from '../errors.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput } from '../output.ts';

interface CheckArguments extends GlobalArguments {
  output: string;
  wait: string;
}

export const checkCommand = defineCommand<CheckArguments>({
  command: 'check',
  describe: 'Look whether the mesh works, and say what to do where it does not',
  builder: (yargs) =>
    yargs.options({
      output: {
        alias: 'o',
        type: 'string',
        choices: ['table', 'short', 'json'],
        default: 'table',
        describe: 'Format of the output; short shows only what is not well',
      },
      wait: { type: 'string', default: '30s', describe: 'Time for checks to succeed' },
    }),
  handler: async (args) => {
    const cluster = await openCluster(args);
    try {
      const printer = new CheckPrinter(standardOutput, args.output === 'short');
      const results = await runChecks(
        checks,
        { cluster, meshNamespace: args.isthmusNamespace, now: Date.now() },
        performance.now() + parseDuration(args.wait, 'wait'),
        (result) => {
          if (args.output !== 'json') printer.print(result);
        },
      );
      const success = succeeded(results);
      if (args.output === 'json') standardOutput.out(`${JSON.stringify(checksToJson(results), null, 2)}\n`);
      else standardOutput.out(`\nStatus check results are ${success ? '√' : '×'}\n`);
      if (!success) process.exitCode = EXIT_USER;
    } finally {
      await cluster.client.close();
    }
  },
});
