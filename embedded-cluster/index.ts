import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { type JsonLog, silentLog } from '../log/index.ts';
import { createApiServer } from './apiserver/index.ts';
import type { ApiServer, Kubelet } from './apiserver/index.ts';
import { systemClock } from './clock.ts';
import type { ControllerContext } from './controllers/controller.ts';
import { runControllers, settleEndpoints } from './controllers/index.ts';
import { lockDataDir } from './data-lock.ts';
import { startDnsServer } from './dns/server.ts';
import { createEventRecorder } from './events.ts';
import { AddressPool } from './node/addresses.ts';
import { startNodeAgent } from './node/agent.ts';
import type { NodeAgent } from './node/agent.ts';
import { GracePeriod } from './node/grace-period.ts';
import type { LocalImages } from './node/images.ts';
import { claimNetwork } from './node/network.ts';
import type { ClusterNetwork } from './node/network.ts';
import type { NodeContext } from './node/node-context.ts';
import { showNotReady } from './node/pod-recovery.ts';
import { runNodeStatus } from './node/node-status.ts';
import { ProcessRecords } from './node/process-records.ts';
import type { LoopbackClient } from './types.ts';

export type { LocalImage, LocalImages } from './node/images.ts';

/** What a cluster is to be. */
export interface ClusterOptions {
  /** Names the cluster, its node and its kubeconfig context. */
  name: string;
  /** Everything of the cluster stands here: a cluster that is started again with it goes on where it was. One process at a time. */
  dataDir: string;
  /** Image name -> local command. */
  images: LocalImages;
  /** First address (`127.x.y.1`) of the network to take; a free one by default, the same again at a later start. */
  address?: string;
  /** File to which a line is appended for each request to the API and whether it was allowed, in the form of Kubernetes' audit log. */
  auditLog?: string;
  logger?: JsonLog;
}

/** A running cluster. */
export interface EmbeddedCluster {
  readonly name: string;
  /** `https://127.x.y.1:6443` */
  readonly url: string;
  /** `127.x.y.1:5353`, UDP and TCP. */
  readonly dnsServer: string;
  /** YAML of a cluster-admin's kubeconfig; it holds a private key. */
  readonly kubeconfig: string;
  readonly loopback: LoopbackClient;
  /**
   * Ends the pods' processes within their grace (at most `limitMs`), then everything else. Objects stay as they are. A
   * second call with a lower limit hurries.
   */
  stop(limitMs?: number): Promise<void>;
}

const API_PORT = 6443;
const DNS_PORT = 5353;

/** Starts a cluster; resolves when its API, its DNS and its node work. Rejects, with nothing left running, when the directory or the network is in use. */
export async function startCluster(options: ClusterOptions): Promise<EmbeddedCluster> {
  const logger = options.logger ?? silentLog;
  const cleanups: (() => unknown)[] = [];
  try {
    cleanups.push(lockDataDir(options.dataDir));
    const network = await claimOwnNetwork(options);
    cleanups.push(() => network.release());
    return await startParts(options, network, logger, cleanups);
  } catch (error) {
    for (const cleanup of cleanups.reverse()) await cleanup();
    throw error;
  }
}

/**
 * Ends the pods' processes that a cluster has left running when it was killed. Answers how many there were. Rejects when a cluster runs on `dataDir`: those are
 * its own.
 */
export async function endLeftovers(dataDir: string): Promise<number> {
  const unlock = lockDataDir(dataDir);
  try {
    return await new ProcessRecords(join(dataDir, 'processes')).killLeftovers();
  } finally {
    unlock();
  }
}

async function startParts(
  options: ClusterOptions,
  network: ClusterNetwork,
  logger: JsonLog,
  cleanups: (() => unknown)[],
): Promise<EmbeddedCluster> {
  const { name, dataDir } = options;
  const records = new ProcessRecords(join(dataDir, 'processes'));
  // Before anything answers: nobody must meet a process of an earlier run at an address of this one.
  const left = await records.killLeftovers();
  if (left > 0) logger.info({ processes: left }, 'ended processes of an earlier run');

  const contextOn = (client: LoopbackClient, component: string): ControllerContext => ({
    client,
    clock: systemClock,
    logger,
    events: createEventRecorder({ client, clock: systemClock, component }),
  });
  const kubelet = lateKubelet();
  const api = await createApiServer({
    dataDir: join(dataDir, 'apiserver'),
    address: network.firstAddress,
    port: API_PORT,
    clusterName: name,
    logger,
    kubelet,
    auditLog: options.auditLog,
    async beforeServing(client) {
      const context = contextOn(client, 'endpoint-slice-controller');
      await showNotReady({ ...context, nodeName: nodeNameOf(name) });
      await settleEndpoints(context);
    },
  });
  cleanups.push(() => api.close());
  const dns = await startDnsServer(api.loopback, network.firstAddress, DNS_PORT);
  cleanups.push(() => dns.close());

  const contextFor = (component: string): ControllerContext => contextOn(api.loopback, component);
  const controllers = runControllers(contextFor, api.caCertificate);
  cleanups.push(() => controllers.stop());
  const node = nodeContext(options, network, api, records, logger, dns.address);
  const status = runNodeStatus(contextFor('kubelet'), node);
  cleanups.push(() => status.stop());
  const agent = startNodeAgent(node);
  kubelet.agent = agent;
  cleanups.push(() => agent.stop());

  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  };
  return {
    name,
    url: api.url,
    dnsServer: dns.address,
    kubeconfig: api.adminKubeconfig(),
    loopback: api.loopback,
    async stop(limitMs) {
      agent.beginStop(limitMs);
      stopping ??= stop();
      await stopping;
    },
  };
}

/** The network that the cluster had before, when it is free. One that was asked for by address is the only one that will do. */
async function claimOwnNetwork(options: ClusterOptions): Promise<ClusterNetwork> {
  const file = join(options.dataDir, 'network');
  const before = existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
  const asked = options.address === undefined ? undefined : prefixOf(options.address);
  const network = await claimNetwork(asked ?? before);
  if (asked !== undefined && network.prefix !== asked) {
    await network.release();
    throw new Error(
      `network ${asked}.0/24 is taken by another cluster: stop that one, or ask for another address`,
    );
  }
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(file, network.prefix);
  return network;
}

function prefixOf(address: string): string {
  const match = /^(127\.\d{1,3}\.\d{1,3})\.1$/.exec(address);
  if (match?.[1] === undefined)
    throw new Error(`address "${address}" must be the first of a loopback network, such as 127.64.3.1`);
  return match[1];
}

function nodeContext(
  options: ClusterOptions,
  network: ClusterNetwork,
  api: ApiServer,
  records: ProcessRecords,
  logger: JsonLog,
  dnsServer: string,
): NodeContext {
  const nodeName = nodeNameOf(options.name);
  const events = createEventRecorder({
    client: api.loopback,
    clock: systemClock,
    component: 'kubelet',
    host: nodeName,
  });
  return {
    client: api.loopback,
    clock: systemClock,
    events,
    logger,
    nodeName,
    hostIp: network.firstAddress,
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    images: options.images,
    addresses: new AddressPool(network.prefix),
    records,
    environment: {
      PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      KUBERNETES_SERVICE_HOST: network.firstAddress,
      KUBERNETES_SERVICE_PORT: String(api.port),
      KUBERNETES_SERVICE_PORT_HTTPS: String(api.port),
      ISTHMUS_DNS_SERVER: dnsServer,
    },
    dataDir: options.dataDir,
    gracePeriod: (ms) => new GracePeriod(systemClock, ms),
  };
}

function nodeNameOf(cluster: string): string {
  return `${cluster}-node`;
}

/** The API server is there before the node agent that it asks for logs. */
function lateKubelet(): Kubelet & { agent: NodeAgent | undefined } {
  return {
    agent: undefined,
    async podLog(request) {
      if (this.agent === undefined) throw new Error('the node agent is not up yet');
      return this.agent.podLog(request);
    },
  };
}
