/** Ctrl-C, an end that is asked for, and a terminal that goes away. A pipe that nobody reads any more (`2>&1 | head`) is as much. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs work that must undo what it has begun when the person interrupts it: instead of ending the process, a signal aborts `signal`, and the process ends when
 * the work does. More signals change nothing.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  for (const signal of SIGNALS) process.on(signal, interrupt);
  process.stderr.on('error', interrupt);
  try {
    return await work(interruption.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
    process.stderr.off('error', interrupt);
  }
}
