/** Calls under way at once: enough to hide latency, few enough to leave an API server alone. */
const CONCURRENCY = 16;

/** As `Promise.all` of a `map`, with a bound on how many run at once. Rejects with the first failure. */
export async function mapLimited<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker));
  return results;
}
