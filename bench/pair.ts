/** Two proxies between a load and the app: what every candidate offers. */
export interface Pair {
  name: string;
  /** Where the load goes, and the request target for an answer of n bytes. */
  host: string;
  port: number;
  target(bytes: number): string;
  /** Processes whose CPU and memory count. */
  pids: readonly number[];
}

/** What a pair is made of. */
export interface PairOptions {
  /** A folder of its own for files, removed by the caller. */
  folder: string;
  appHost: string;
  appPort: number;
}
