import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const LOCK_FILE = 'lock.db';
/** Who holds the lock: for the error message, nothing depends on it. */
const HOLDER_FILE = 'cluster.pid';
const SQLITE_BUSY = 5;
/** A database that nothing refers to is closed by the garbage collector, and its lock is gone. */
const held = new Set<DatabaseSync>();

/**
 * Keeps a data directory for one process until the returned function is called, or the process ends, however it does. Throws when it is in use. The lock is
 * the kernel's, through SQLite: two that start at the same time after a crash can't both take over what a dead process has left.
 */
export function lockDataDir(dir: string): () => void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const holder = join(dir, HOLDER_FILE);
  const database = new DatabaseSync(join(dir, LOCK_FILE));
  try {
    // Nothing is ever written: where a disk is full, what has filled it can still be ended and removed.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
    throw new Error(
      `data directory ${dir} is in use by the cluster with process id ${pidIn(holder)}: stop that cluster, or choose another directory`,
      { cause: error },
    );
  }
  held.add(database);
  try {
    writeFileSync(holder, String(process.pid));
  } catch {
    // Who is refused then reads no process id.
  }
  return () => {
    rmSync(holder, { force: true });
    held.delete(database);
    database.close();
  };
}

function pidIn(file: string): string {
  try {
    return readFileSync(file, 'utf8') || 'unknown';
  } catch {
    return 'unknown';
  }
}
