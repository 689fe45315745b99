/**
 * Runs `work` for each item, `limit` at a time. Waits for all that were begun also when one fails, then rejects with
 * the first failure: nothing goes on behind it.
 */
export async function inParallel<T>(
  limit: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failures.length > 0) throw failures[0];
}

/** Bytes that a single-node cluster with the mesh takes, with room for its start. */
const CLUSTER_BYTES = 1024 ** 3;
/** A cluster that starts keeps about this many cores busy; with less, those that start side by side miss their time limits. */
const CLUSTER_CORES = 2;

/** How many clusters may be started at once on this machine: at least one. */
export function clustersAtOnce(availableBytes: number, cores: number): number {
  const byMemory = Math.floor(availableBytes / CLUSTER_BYTES);
  const byCores = Math.floor(cores / CLUSTER_CORES);
  return Math.max(1, Math.min(byMemory, byCores));
}
