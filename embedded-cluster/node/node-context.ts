import type { JsonLog } from '../../log/index.ts';
import type { Clock } from '../clock.ts';
import type { EventRecorder } from '../events.ts';
import type { LoopbackClient } from '../types.ts';
import type { AddressPool } from './addresses.ts';
import type { GracePeriod } from './grace-period.ts';
import type { LocalImages } from './images.ts';
import type { ProcessRecords } from './process-records.ts';

/** What everything on the node shares. */
export interface NodeContext {
  client: LoopbackClient;
  clock: Clock;
  events: EventRecorder;
  logger: JsonLog;
  nodeName: string;
  /** The node's own address. */
  hostIp: string;
  cpus: number;
  memoryBytes: number;
  images: LocalImages;
  addresses: AddressPool;
  records: ProcessRecords;
  /** Environment of every container: PATH, where the API server and DNS are. */
  environment: Record<string, string>;
  /** Directory under which each pod has `pods/<uid>`. */
  dataDir: string;
  gracePeriod(ms: number): GracePeriod;
}
