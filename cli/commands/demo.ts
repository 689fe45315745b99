import { defineCommand } from '../define-command.ts';
import { runDemo } from '../demo/demo.ts';
import { parseDuration } from '../durations.ts';
import type { GlobalArguments } from '../options.ts';
import { standardOutput } from '../output.ts';

interface DemoArguments extends GlobalArguments {
  dataDir: string | undefined;
  for: string | undefined;
  json: boolean;
  keep: boolean;
}

export const demoCommand = defineCommand<DemoArguments>({
  command: 'demo',
  describe: 'Two linked clusters on this machine with real traffic between them, and a live view',
  builder: (yargs) =>
    yargs.options({
      'data-dir': { type: 'string', describe: 'Folder for the clusters (default: a temporary one)' },
      for: { type: 'string', describe: 'End after this time of traffic, such as 20s' },
      json: {
        type: 'boolean',
        default: false,
        describe: 'End with one line of JSON on standard output, no live view',
      },
      keep: { type: 'boolean', default: false, describe: 'Leave the clusters running at the end' },
    }),
  handler: async (args) => {
    const interruption = new AbortController();
    const interrupt = (): void => interruption.abort();
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, interrupt);
    try {
      const result = await runDemo(
        {
          dataDir: args.dataDir,
          forMs: args.for === undefined ? undefined : parseDuration(args.for, 'for'),
          json: args.json,
          keep: args.keep,
          startedAt: performance.timeOrigin,
          signal: interruption.signal,
        },
        standardOutput,
      );
      if (args.json && result !== undefined) standardOutput.out(`${JSON.stringify(result)}\n`);
    } finally {
      for (const signal of signals) process.off(signal, interrupt);
    }
  },
});
