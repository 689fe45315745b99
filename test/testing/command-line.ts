import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';

/** EX_USAGE, as the parts end for an environment that cannot be used. */
const EXIT_USAGE = 64;

/** Values of options by their names, as `parseArgs` tells them. */
export type OptionValues<T extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: T }>
>['values'];

/** Options, and what stands beside them. */
export interface CommandLine<T extends ParseArgsOptionsConfig> {
  readonly values: OptionValues<T>;
  readonly positionals: readonly string[];
}

/**
 * What a tool of the project was started with. `--help` prints the usage and ends the process; what cannot be read ends it with what is wrong and
 * the usage, before anything is begun.
 */
export function readCommandLine<const T extends ParseArgsOptionsConfig>(
  usage: string,
  options: T,
  allowPositionals = true,
): CommandLine<T> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(usage);
    process.exit();
  }
  try {
    return parseArgs({ options, allowPositionals });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error), usage);
  }
}

/** The same of a tool that has options alone. */
export function readOptions<const T extends ParseArgsOptionsConfig>(
  usage: string,
  options: T,
): OptionValues<T> {
  return readCommandLine(usage, options, false).values;
}

/** The value of an option as a whole number of at least `least`. */
export function wholeNumber(usage: string, option: string, value: string, least: number): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && Number.isSafeInteger(number) && number >= least) return number;
  return refuse(`--${option} ${value}: write a whole number, ${least} or more`, usage);
}

/** Ends the process with what is wrong with its arguments. */
export function refuse(message: string, usage: string): never {
  process.stderr.write(`error: ${message}\n\n${usage}`);
  process.exit(EXIT_USAGE);
}
