import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { UserError } from '../errors.ts';
import { STANDARD_INPUT } from '../options.ts';
import { loadDocument, splitDocuments } from './kubectl-yaml.ts';

/** One document of the input. */
export interface ManifestDocument {
  object: KubernetesObject;
  /** As it was written, comments and all. */
  source: string;
}

const EXTENSIONS: ReadonlySet<string> = new Set(['.yaml', '.yml', '.json']);

/** Reads files, folders with all below them, and standard input, in their order. Throws a UserError that names what cannot be read, and what it must be. */
export async function readManifests(paths: readonly string[]): Promise<ManifestDocument[]> {
  const files = (await Promise.all(paths.map(manifestFiles))).flat();
  const documents = (await Promise.all(files.map(readDocuments))).flat();
  if (documents.length === 0) {
    throw new UserError(`${paths.join(', ')}: no objects`, 'Name files, folders, or - for standard input.');
  }
  return documents;
}

/** A folder stands for what it holds, in the order of the names. */
async function manifestFiles(path: string): Promise<string[]> {
  if (path === STANDARD_INPUT) return [path];
  return orUserError(path, async () => {
    if (!(await stat(path)).isDirectory()) return [path];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && EXTENSIONS.has(extname(entry.name).toLowerCase()))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  });
}

async function readDocuments(file: string): Promise<ManifestDocument[]> {
  const name = file === STANDARD_INPUT ? 'standard input' : file;
  return orUserError(name, async () => {
    // Read as a stream: what stands behind it may be a socket, which cannot be opened by its path.
    const content = file === STANDARD_INPUT ? await text(process.stdin) : await readFile(file, 'utf8');
    return splitDocuments(content).map((source) => {
      const object = loadDocument(source);
      if (!isObject(object)) throw new Error('a document is no object with a `kind`');
      return { object, source };
    });
  });
}

function isObject(value: unknown): value is KubernetesObject {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}

async function orUserError<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${name} cannot be read: ${why}`,
      'It must hold Kubernetes objects as YAML or JSON.',
      { cause: error },
    );
  }
}
