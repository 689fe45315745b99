import yargs, { type CommandModule } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { VERSION } from '../api/names.ts';
import { EXIT_OURS, EXIT_USER, UserError } from './errors.ts';
import { Interrupted } from './interruption.ts';
import { globalOptions, STANDARD_INPUT } from './options.ts';

/** Loaded one by one: a command should not wait for what another needs. In the order of the help text. */
const commands: Record<string, () => Promise<unknown>> = {
  install: async () => (await import('./commands/install.ts')).installCommand,
  upgrade: async () => (await import('./commands/upgrade.ts')).upgradeCommand,
  uninstall: async () => (await import('./commands/uninstall.ts')).uninstallCommand,
  trust: async () => (await import('./commands/trust.ts')).trustCommand,
  link: async () => (await import('./commands/link.ts')).linkCommand,
  unlink: async () => (await import('./commands/unlink.ts')).unlinkCommand,
  inject: async () => (await import('./commands/inject.ts')).injectCommand,
  uninject: async () => (await import('./commands/uninject.ts')).uninjectCommand,
  check: async () => (await import('./commands/check.ts')).checkCommand,
  gateways: async () => (await import('./commands/gateways.ts')).gatewaysCommand,
  cluster: async () => (await import('./commands/cluster.ts')).clusterCommand,
  demo: async () => (await import('./commands/demo.ts')).demoCommand,
  version: async () => (await import('./commands/version.ts')).versionCommand,
};

/** Files of commands have grown until there was no room: nothing that a stack could tell. */
const NO_ROOM = new Set(['ENOSPC', 'EDQUOT']);

/** Prints what went wrong and answers the exit code: 1 for "you", 2 for "us"; of an interruption its own. */
function report(error: unknown): number {
  if (error instanceof UserError) {
    process.stderr.write(
      `error: ${error.message}\n${error.hint === undefined ? '' : `       ${error.hint}\n`}`,
    );
    return EXIT_USER;
  }
  if (error instanceof Interrupted) return error.exitCode;
  if (error instanceof Error && NO_ROOM.has((error as NodeJS.ErrnoException).code ?? '')) {
    process.stderr.write(`error: ${error.message}\n       Make room on the disk, and try again.\n`);
    return EXIT_USER;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`internal error: ${text}\n`);
  return EXIT_OURS;
}

/** The command that the arguments name, if it is one: what stands behind a flag of all commands is its value, whatever it is called. */
function namedCommand(args: readonly string[]): string | undefined {
  const isValue = (at: number): boolean => Object.hasOwn(globalOptions, args[at - 1]?.slice(2) ?? '');
  const name = args.find((arg, at) => !arg.startsWith('-') && !isValue(at));
  return name !== undefined && Object.hasOwn(commands, name) ? name : undefined;
}

/** What has to be loaded for a command; all of them for help, completion, or a name that is none. */
function needed(command: string | undefined): (() => Promise<unknown>)[] {
  const load = commands[command ?? ''];
  return load === undefined ? Object.values(commands) : [load];
}

// Who reads the output may have seen enough (`| head`): no error, and nothing more to say.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

// Nor is progress that nobody sees any: what has been begun is ended, or undone (`interruptible`).
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const args = hideBin(process.argv).map((arg) => (arg === '-' ? STANDARD_INPUT : arg));
const command = namedCommand(args);
const parser = yargs(args)
  .scriptName('isthmus')
  .usage(
    '$0 <command>\n\nJoins Kubernetes clusters: a sidecar mesh in each, mirrored services and mTLS gateways between them.',
  )
  .options(globalOptions)
  .completion('completion', 'Print a completion script for bash or zsh')
  .demandCommand(1, 'Say which command; `isthmus --help` lists them.')
  .strict()
  .recommendCommands()
  .version(VERSION)
  .help()
  .alias('h', 'help')
  .wrap(Math.min(110, process.stdout.columns ?? 110))
  .fail((message, error) => {
    // What yargs throws itself is about the arguments, too.
    if (error !== undefined && error.name !== 'YError') throw error;
    const asked = ['isthmus', ...(command === undefined ? [] : [command]), '--help'];
    throw new UserError(error?.message ?? message, `See \`${asked.join(' ')}\`.`);
  });

try {
  for (const load of needed(command)) parser.command((await load()) as CommandModule);
  await parser.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
