/** What the node agent does for the API server. */
export interface Kubelet {
  /**
   * The log of a container; ends by itself unless `follow`. Throws an ApiError (400 when the container has not
   * started). `signal` aborts when the client has gone.
   */
  podLog(request: PodLogRequest): Promise<AsyncIterable<string | Uint8Array>>;
}

/** Which log is asked for, and how much of it. */
export interface PodLogRequest {
  namespace: string;
  pod: string;
  /** Always named: the pod's only or default container where the client named none. */
  container: string;
  previous: boolean;
  follow: boolean;
  tailLines: number | undefined;
  sinceSeconds: number | undefined;
  /** RFC 3339. */
  sinceTime: string | undefined;
  timestamps: boolean;
  limitBytes: number | undefined;
  signal: AbortSignal;
}
