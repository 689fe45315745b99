import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { VERSION } from '../api/names.ts';
import { checkCommand } from './commands/check.ts';
import { clusterCommand } from './commands/cluster.ts';
import { demoCommand } from './commands/demo.ts';
import { gatewaysCommand } from './commands/gateways.ts';
import { injectCommand } from './commands/inject.ts';
import { installCommand } from './commands/install.ts';
import { linkCommand } from './commands/link.ts';
import { trustCommand } from './commands/trust.ts';
import { uninstallCommand } from './commands/uninstall.ts';
import { unlinkCommand } from './commands/unlink.ts';
import { versionCommand } from './commands/version.ts';
import { EXIT_OURS, EXIT_USER, UserError } from './errors.ts';
import { globalOptions } from './options.ts';

/** Prints what went wrong and answers the exit code: 1 for "you", 2 for "us". */
function report(error: unknown): number {
  if (error instanceof UserError) {
    process.stderr.write(
      `error: ${error.message}\n${error.hint === undefined ? '' : `       ${error.hint}\n`}`,
    );
    return EXIT_USER;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`internal error: ${text}\n`);
  return EXIT_OURS;
}

const parser = yargs(hideBin(process.argv))
  .scriptName('isthmus')
  .usage(
    '$0 <command>\n\nJoins Kubernetes clusters: a sidecar mesh in each, mirrored services and mTLS gateways between them.',
  )
  .options(globalOptions)
  .command(installCommand)
  .command(uninstallCommand)
  .command(trustCommand)
  .command(linkCommand)
  .command(unlinkCommand)
  .command(injectCommand)
  .command(checkCommand)
  .command(gatewaysCommand)
  .command(clusterCommand)
  .command(demoCommand)
  .command(versionCommand)
  .completion('completion', 'Print a completion script for bash or zsh')
  .demandCommand(1, 'Say which command; `isthmus --help` lists them.')
  .strict()
  .recommendCommands()
  .version(VERSION)
  .help()
  .alias('h', 'help')
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .fail((message, error) => {
    throw error ?? new UserError(message, 'See `isthmus --help`.');
  });

try {
  await parser.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
