import { mkdtemp, rmdir, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { UserError } from '../errors.ts';
import { makeFolder } from '../make-folder.ts';

/** MiB: two clusters take 7 in their first seconds, 20 more where they outlive the command and each has its own image; databases and logs grow. */
const ROOM_MIB = 64;

/** Where a demo's things lie. */
export interface DemoFolder {
  dir: string;
  /** The outermost folder that had to be made for it, itself perhaps; undefined when it was there. */
  made: string | undefined;
}

/** The folder that the person names, or a temporary one. Throws a UserError when it cannot be made, or has no room for a demo. */
export async function makeDemoFolder(
  dataDir: string | undefined,
  roomMiB: number = ROOM_MIB,
): Promise<DemoFolder> {
  const folder = dataDir === undefined ? await temporaryFolder() : await namedFolder(resolve(dataDir));
  const { bavail, bsize } = await statfs(folder.dir);
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMiB >= roomMiB) return folder;
  await removeDemoFolder(folder);
  throw new UserError(
    `there are ${freeMiB} MiB left where ${folder.dir} is; the demo takes up to ${roomMiB}`,
    'Make room, or name a folder elsewhere with --data-dir.',
  );
}

/** Bytes: with less, no cluster can write down anything any more. */
const FULL = 2 ** 20;

/** What to tell of a failure on a disk that is full by now, whatever it was that failed first; undefined where there is room. */
export async function outOfRoom(
  dir: string,
  failure: unknown,
  full: number = FULL,
): Promise<UserError | undefined> {
  const disk = await statfs(dir).catch(() => undefined);
  if (disk === undefined || disk.bavail * disk.bsize >= full) return undefined;
  const what = failure instanceof Error ? failure.message : String(failure);
  return new UserError(
    `the disk where ${dir} is has filled up: ${what}`,
    'Make room, or name a folder elsewhere with --data-dir.',
    { cause: failure },
  );
}

/** Removes an empty folder with what had to be made for it; one that was there before stays. */
export async function removeDemoFolder({ dir, made }: DemoFolder): Promise<void> {
  if (made === undefined) return;
  try {
    for (let path = dir; path.startsWith(made); path = dirname(path)) await rmdir(path);
  } catch {
    // Somebody has put a file of his own there: it stays.
  }
}

async function namedFolder(dir: string): Promise<DemoFolder> {
  return { dir, made: await makeFolder(dir) };
}

async function temporaryFolder(): Promise<DemoFolder> {
  try {
    const dir = await mkdtemp(join(tmpdir(), 'isthmus-'));
    return { dir, made: dir };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `no folder can be made for temporary files: ${why}`,
      'Name one that you may write to with --data-dir, or by the variable TMPDIR.',
      { cause: error },
    );
  }
}
