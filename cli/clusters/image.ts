import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entrypointOf } from '../../image/layout.ts';
import { UserError } from '../errors.ts';
import { makeFolder } from '../make-folder.ts';

/** The project's folder. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Beside what Node has compiled of the command (`cli/bin/isthmus.mjs`). */
const SHARED = join(ROOT, 'node_modules', '.cache', 'isthmus', 'images');
/** Nothing of the image is made from what is below these. */
const NO_SOURCE: ReadonlySet<string> = new Set(['node_modules', 'docs', 'test', 'bench', 'kind-clusters']);
/** ms after which an image that nobody has asked for is removed: longer than a cluster that ends with its command runs. */
const UNUSED_MS = 7 * 24 * 3_600_000;

/** Makes the files of the image (`image/bundle.ts`) in a folder; rejects when that cannot be. */
export type Make = (folder: string) => Promise<unknown>;

/** Where the image is, or will be once `made` resolves. */
export interface Image {
  readonly folder: string;
  readonly made: Promise<void>;
}

/** Several clusters that start at once wait for the same one. */
const underWay = new Map<string, Promise<void>>();

/**
 * The image of a cluster that ends with the command: one for all of them, made again when a source file has changed.
 * Parts that are bundled start with a third of the CPU time of source files. Where that folder cannot be written to,
 * the image is `own`.
 * @param own a folder of the cluster's own
 */
export async function sharedImage(own: string, make: Make = bundle, shared = SHARED): Promise<Image> {
  const folder = join(shared, await fingerprint());
  if (existsSync(entrypointOf(folder))) {
    // In use: the next looks for unused ones leave it.
    await utimes(folder, new Date(), new Date()).catch(() => {});
    return { folder, made: Promise.resolve() };
  }
  try {
    await makeFolder(shared);
    await access(shared, constants.W_OK);
  } catch {
    return ownImage(own, make);
  }
  let making = underWay.get(folder);
  if (making === undefined) {
    making = awaited(makeWhole(folder, make).then(() => removeUnused(shared)));
    underWay.set(folder, making);
    void making.catch(() => {}).finally(() => underWay.delete(folder));
  }
  return { folder, made: making };
}

/** The image of a cluster that outlives the command: its own, as the sources are now, whatever becomes of them. */
export function ownImage(own: string, make: Make = bundle): Image {
  const gone = rm(own, { recursive: true, force: true });
  return { folder: own, made: awaited(gone.then(() => makeWhole(own, make))) };
}

/** Who does not get as far as to wait for it has failed by something else, and tells that. */
function awaited(made: Promise<void>): Promise<void> {
  made.catch(() => {});
  return made;
}

async function bundle(folder: string): Promise<void> {
  // Its packages take a tenth of a second to load, which only who needs them should wait for.
  await (await import('../../image/bundle.ts')).bundle(folder);
}

/** Under its name there is a whole image or none, whoever else makes the same one. */
async function makeWhole(folder: string, make: Make): Promise<void> {
  const draft = `${folder}.${randomUUID()}`;
  try {
    await make(draft);
    await rename(draft, folder);
  } catch (error) {
    if (existsSync(entrypointOf(folder))) return;
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `the image of the mesh cannot be made in ${folder}: ${why}`,
      'It takes 10 MB there, and the project whole, with its packages (`npm ci`).',
      { cause: error },
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Changes with every source file: their names, sizes and times. */
async function fingerprint(): Promise<string> {
  const top = await readdir(ROOT, { withFileTypes: true });
  const folders = top.filter((entry) => entry.isDirectory() && isSource(entry.name));
  const below = await Promise.all(
    folders.map(async ({ name }) =>
      (await readdir(join(ROOT, name), { recursive: true })).map((file) => join(name, file)),
    ),
  );
  const files = [
    'package-lock.json',
    ...below
      .flat()
      .filter((file) => /\.(?:[cm]?[jt]s|sh)$/.test(file))
      .toSorted(),
  ];
  const hash = createHash('sha256');
  for (const file of files) {
    const { size, mtimeMs } = await stat(join(ROOT, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

function isSource(name: string): boolean {
  return !name.startsWith('.') && !NO_SOURCE.has(name);
}

async function removeUnused(shared: string): Promise<void> {
  try {
    for (const name of await readdir(shared)) {
      const path = join(shared, name);
      if (Date.now() - (await stat(path)).mtimeMs > UNUSED_MS)
        await rm(path, { recursive: true, force: true });
    }
  } catch {
    // Somebody else does the same: what is left the next one finds.
  }
}
