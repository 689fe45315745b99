import type { JsonLog } from '../../log/index.ts';
import type { LoopbackClient } from '../types.ts';
import type { DialService } from './admission/webhooks.ts';
import type { Kubelet } from './kubelet.ts';

/** How an API server is to be. */
export interface ApiServerOptions {
  /** Folder of the database, keys and certificates; made when it is missing. */
  dataDir: string;
  /** Address to listen on, such as 127.64.3.1. */
  address: string;
  /** 0: any that is free. */
  port: number;
  /** Names the cluster, its user and its context in the kubeconfig. */
  clusterName: string;
  /** Where the server tells what a person should know. */
  logger: JsonLog;
  /** ms since the epoch; the system's clock by default. */
  now?: () => number;
  /** How a webhook's Service is reached; by the ready endpoints in its EndpointSlices by default. */
  dialService?: DialService;
  /** The node agent, for what only it can answer. */
  kubelet?: Kubelet;
  /** File to which a line is appended for each request and whether it was allowed. */
  auditLog?: string | undefined;
  /** What is to be put right in what an earlier run has left before any client can read it. Rejecting, it ends the start. */
  beforeServing?: (loopback: LoopbackClient) => Promise<void>;
}
