import type { LinkSettings } from './link-settings.ts';
import type { GatewayView, Unmirrored } from './mirror-objects.ts';

/** How to reach an API server, as plain data that crosses to a worker thread; it stays in memory. */
export interface PlainConfig {
  server: string;
  ca?: string;
  token?: string;
  /** Read again for each call. */
  tokenFile?: string;
  cert?: string;
  key?: string;
}

/** What a link's worker is started with. */
export interface LinkWorkerData {
  settings: LinkSettings;
  ownClusterId: string;
  local: PlainConfig;
  remote: PlainConfig;
  /** The Link, for events about it. */
  link: { name: string; namespace: string; uid: string };
  gateway: GatewayView;
  logLevel: string;
  /** Milliseconds; the bounds of the reflectors' back-off. */
  backoff?: { initialMs: number; maxMs: number };
}

/** From the main thread to a link's worker. */
export type ToWorker = { kind: 'gateway'; gateway: GatewayView } | { kind: 'stop' };

/** How the target's API answers. */
export type ApiState =
  | { kind: 'untried' }
  | { kind: 'reachable' }
  | { kind: 'failing'; code: number; reason: string; message: string };

/** Whether the API that the credentials lead to is the cluster that the Link names. */
export type IdentityState =
  | { kind: 'unknown' }
  | { kind: 'confirmed' }
  | { kind: 'self' }
  | { kind: 'another'; clusterId: string };

/** The gateway's Service in the target. */
export interface GatewayService {
  /** IPs and host names of its load balancer; where it has none, of the nodes that it is reached at. */
  addresses: string[];
  /** The Service's port, or the node port that goes with the nodes. */
  port: number | undefined;
}

/** One exported service: mirrored, or why not. */
export interface MirrorStatus {
  namespace: string;
  remoteName: string;
  localName: string;
  problem: Unmirrored | undefined;
}

/** From a link's worker to the main thread: how it stands, with the mirrors that changed since the last report. */
export interface LinkReport {
  api: ApiState;
  identity: IdentityState;
  /** Undefined until the target told it. */
  gatewayService: GatewayService | undefined;
  /** Everything known of the target is mirrored, and nothing waits. */
  synced: boolean;
  /** Milliseconds since the target was last heard of. */
  stalenessMs: number;
  /** By key; null has gone. */
  mirrors: [key: string, status: MirrorStatus | null][];
  /** Endpoint repairs since the last report. */
  repairs: number;
}

/** What a link's thread says: how it stands, or only that it lives. */
export type FromWorker = { kind: 'report'; report: LinkReport } | { kind: 'tick' };
