import { defineCommand } from '../define-command.ts';
import { positionalFiles } from '../inject/options.ts';
import { readManifests } from '../inject/read-manifests.ts';
import { transformManifests } from '../inject/transform-manifests.ts';
import { type ObjectFormat, standardOutput } from '../output.ts';

interface UninjectArguments {
  files: string[];
  output: ObjectFormat;
}

export const uninjectCommand = defineCommand<UninjectArguments>({
  command: 'uninject <files..>',
  describe: 'Print the objects of YAML files, folders or standard input (-) without annotation and sidecar',
  builder: (yargs) =>
    yargs
      .positional('files', positionalFiles)
      .options({
        output: {
          alias: 'o',
          type: 'string',
          choices: ['yaml', 'json'],
          default: 'yaml',
          describe: 'How they are printed',
        },
      })
      .example('kubectl get deploy web -o yaml | $0 uninject - | kubectl replace -f -', "Linkerd's way"),
  // Printed, not applied: applying would leave what another client has set.
  handler: async ({ files, output }) => {
    const documents = await readManifests(files);
    await transformManifests(
      documents,
      { kind: 'remove' },
      { kind: 'print', format: output },
      standardOutput,
    );
  },
});
