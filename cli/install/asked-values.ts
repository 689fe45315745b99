import { readFile } from 'node:fs/promises';
import * as yaml from 'js-yaml';
import { UserError } from '../errors.ts';
import { isValuePath, VALUES } from './value-schema.ts';
import type { AskedValues, ValuePath } from './values.ts';

/** Values by path, as far as they were given. */
export type GivenValues = Partial<AskedValues>;

/** Fixed at the first install: other objects, certificates and other clusters carry them. */
const NOT_BY_SET: readonly ValuePath[] = ['clusterName', 'meshNamespace'];

/** Reads `--set key=value` arguments; later ones win. Throws a UserError that names the key and what it must be. */
export function valuesFromSet(arguments_: readonly string[]): GivenValues {
  return checked(
    arguments_.map((argument) => {
      const at = argument.indexOf('=');
      if (at < 1) {
        throw new UserError(
          `--set ${argument} is no assignment`,
          'Write --set key=value, such as --set gateway.replicas=2.',
        );
      }
      return [argument.slice(0, at), argument.slice(at + 1)];
    }),
    '--set',
  );
}

/** Reads a YAML file of values, as a tree or with dotted keys. Throws a UserError that names the file and the key. */
export async function valuesFromFile(file: string): Promise<GivenValues> {
  let tree: unknown;
  try {
    [tree] = yaml.loadAll(await readFile(file, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(`${file} can not be read: ${why}`, 'It must hold values as YAML.', { cause: error });
  }
  if (tree === undefined || tree === null) return {};
  if (!isTree(tree)) {
    throw new UserError(
      `${file} holds no values`,
      'It must be a YAML map, such as `gateway: {replicas: 2}`.',
    );
  }
  return checked(leaves(tree), file);
}

/** Values that a former version has written down: what this one does not know or can not read is left out. */
export function keptValues(written: unknown): GivenValues {
  if (!isTree(written)) return {};
  const read = leaves(written).flatMap(([path, given]) => {
    const value = isValuePath(path) ? VALUES[path].read(given) : undefined;
    return value === undefined ? [] : [[path, value]];
  });
  return Object.fromEntries(read) as GivenValues;
}

function checked(given: readonly (readonly [path: string, value: unknown])[], where: string): GivenValues {
  const values = given.map(([path, value]) => {
    if (!isValuePath(path)) throw unknownValue(path, where);
    if (NOT_BY_SET.includes(path)) {
      throw new UserError(
        `${where}: ${path} is not set this way`,
        'Use --cluster-name and --isthmus-namespace.',
      );
    }
    const kind = VALUES[path];
    const read = kind.read(value);
    if (read === undefined) {
      throw new UserError(
        `${where}: ${path} is ${JSON.stringify(value)}: it must be ${kind.expected}`,
        `${path}: ${kind.describe}.`,
      );
    }
    return [path, read];
  });
  return Object.fromEntries(values) as GivenValues;
}

function unknownValue(path: string, where: string): UserError {
  const last = path.split('.').at(-1) ?? path;
  const names = Object.keys(VALUES);
  const near = names.filter((name) => name.startsWith(`${path}.`) || name.split('.').at(-1) === last);
  const known = near.length > 0 ? `Did you mean ${near.join(', ')}?` : `There are: ${names.join(', ')}.`;
  return new UserError(`${where}: there is no value "${path}"`, known);
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function leaves(tree: Record<string, unknown>, prefix = ''): [path: string, value: unknown][] {
  return Object.entries(tree).flatMap(([key, value]): [string, unknown][] => {
    const path = `${prefix}${key}`;
    return isTree(value) ? leaves(value, `${path}.`) : [[path, value]];
  });
}
