import { defineCommand } from '../define-command.ts';
import { runDemo } from '../demo/demo.ts';
import { parseDuration } from '../durations.ts';
import { interruptible } from '../interruption.ts';
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
      'data-dir': {
        type: 'string',
        requiresArg: true,
        describe: 'Folder for the clusters (default: a temporary one)',
      },
      for: { type: 'string', requiresArg: true, describe: 'End after this time of traffic, such as 20s' },
      json: {
        type: 'boolean',
        default: false,
        describe: 'End with one line of JSON on standard output, no live view',
      },
      keep: { type: 'boolean', default: false, describe: 'Leave the clusters running at the end' },
    }),
  handler: async (args) => {
    const { dataDir, json, keep } = args;
    const forMs = args.for === undefined ? undefined : parseDuration(args.for, 'for');
    const startedAt = performance.timeOrigin;
    await interruptible(async (signal) => {
      const end = await runDemo({ dataDir, forMs, json, keep, startedAt, signal }, standardOutput);
      const answered = end.kind === 'answered';
      if (json && answered) standardOutput.out(`${JSON.stringify(end.result)}\n`);
      // A script that asked for 20 s, or for an answer, must not take less for it. Without a time Ctrl-C is how a demo that serves is meant to end: 0.
      if (!answered || !end.complete) signal.throwIfAborted();
    });
  },
});
