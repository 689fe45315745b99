/** Proxies between a load and the app: what every candidate offers. */
export interface Chain {
  readonly name: string;
  /** Where the load goes, and the request target for an answer of n bytes. */
  readonly host: string;
  readonly port: number;
  target(bytes: number): string;
  /** Processes whose CPU and memory count. */
  readonly pids: readonly number[];
  /** Addresses of our own proxies, whose metrics can be asked for. */
  readonly admins?: readonly string[];
}

/** The app behind the proxies: it listens at every one of these addresses. */
export interface App {
  /** An address of a pod of its own for each chain. */
  takeHost(): string;
  readonly port: number;
  /** HTTP/2 with prior knowledge; undefined where nginx is not installed. */
  readonly http2Port: number | undefined;
}
