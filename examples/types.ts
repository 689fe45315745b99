/** Body of the server's answers. */
export interface WebAnswer {
  cluster: string;
  pod: string;
  /** `l5d-client-id` as the server saw it. */
  client: string | null;
}

/** What the client answers at `/stats`: all since its start. */
export interface ClientStats {
  requests: number;
  failures: number;
  /** Answers by the cluster that gave them. */
  byCluster: Record<string, number>;
  /** The client's identity as the last server named it. */
  clientIdentity: string | null;
  /** Milliseconds since the epoch; null until the first answer. */
  firstAnswerAt: number | null;
  lastError: string | null;
  /** Of all answers but the first, which waits for whatever is coming up. */
  latencyMs: { p50: number; p99: number };
}
