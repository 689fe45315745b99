import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';

/**
 * A yargs command whose handler sees its arguments as `A`: the options' camel-cased names with their types. yargs
 * cannot infer them through builders that are shared between commands, so this one place says what the options come to;
 * `strict()` refuses everything else.
 */
export function defineCommand<A>(definition: {
  command: string;
  describe: string;
  builder: (yargs: Argv) => unknown;
  handler: (args: A) => Promise<void>;
}): CommandModule<object, A> {
  return {
    command: definition.command,
    describe: definition.describe,
    builder: (yargs) => definition.builder(yargs) as Argv<A>,
    handler: (args: ArgumentsCamelCase<A>) => definition.handler(args as A),
  };
}
