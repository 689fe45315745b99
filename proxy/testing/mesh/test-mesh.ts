import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { component, dnsIdentity, port, spiffeId } from '../../../api/names.ts';
import { silentLog } from '../../../log/index.ts';
import {
  createWorkloadIdentity,
  systemClock,
  type Logger,
  type WorkloadIdentity,
  type WorkloadNames,
} from '../../../workload-identity/index.ts';
import {
  makeAnchor,
  makeIssuer,
  makeLeaf,
  requestedKey,
  TRUST_DOMAIN,
  type Made,
} from '../../../workload-identity/testing/test-ca.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMES, type MeshConfig, type ProxyConfig } from '../../config.ts';
import { parseBlock } from '../../policy/address-block.ts';
import { startProxy, type Proxy } from '../../proxy.ts';
import type { RuntimeOptions } from '../../runtime.ts';
import { freshAddress } from '../../../test/testing/addresses.ts';
import { FakeControlPlane, type FakeEndpoint } from './fake-control-plane.ts';

const HOUR_MS = 3_600_000;

/** Logs nothing; with DEBUG_PROXY_TESTS set, everything to standard error. */
export const testLog: Logger =
  process.env['DEBUG_PROXY_TESTS'] === undefined
    ? silentLog
    : { debug: print, info: print, warn: print, error: print };

function print(fields: object, message: string): void {
  process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
}

/** A pod of a test: who it is and where. */
export interface TestPod {
  readonly names: WorkloadNames;
  readonly ip: string;
  readonly spiffeId: string;
  readonly dnsName: string;
}

/** One cluster of a test: its issuer and its control plane. */
export interface TestCluster {
  readonly id: string;
  readonly controlPlane: FakeControlPlane;
  readonly issuer: Made;
}

/** Clusters under one trust anchor, with proxies in this process on addresses of their own. Call `close` at the end. */
export class TestMesh {
  readonly anchor: Made;
  readonly #dir = mkdtempSync(join(tmpdir(), 'isthmus-proxy-test-'));
  readonly #closers: (() => Promise<void> | void)[] = [];

  private constructor(anchor: Made) {
    this.anchor = anchor;
    writeFileSync(this.anchorsFile, anchor.pem);
  }

  static async create(): Promise<TestMesh> {
    return new TestMesh(await makeAnchor());
  }

  get anchorsFile(): string {
    return join(this.#dir, 'ca-bundle.crt');
  }

  /** Runs at `close`, last first. */
  onClose(closer: () => Promise<void> | void): void {
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.reverse()) await closer();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async cluster(id: string): Promise<TestCluster> {
    return { id, controlPlane: new FakeControlPlane(), issuer: await makeIssuer(this.anchor, id) };
  }

  pod(cluster: TestCluster, serviceAccount: string, namespace = 'shop'): TestPod {
    const names = {
      serviceAccount,
      namespace,
      clusterId: cluster.id,
      meshNamespace: 'isthmus',
      trustDomain: TRUST_DOMAIN,
    };
    return { names, ip: freshAddress(), spiffeId: spiffeId(names), dnsName: dnsIdentity(names) };
  }

  /** The gateway's pod of a cluster. */
  gatewayPod(cluster: TestCluster): TestPod {
    return this.pod(cluster, component.gateway, 'isthmus');
  }

  /** @param issuer by default the cluster's: another one makes a liar */
  async identity(cluster: TestCluster, pod: TestPod, issuer = cluster.issuer): Promise<WorkloadIdentity> {
    const identity = createWorkloadIdentity({
      names: pod.names,
      podName: pod.names.serviceAccount,
      anchorsFile: this.anchorsFile,
      certify: {
        kind: 'local',
        certifier: async ({ csr }) => {
          const notAfter = Date.now() + 24 * HOUR_MS;
          const leaf = await makeLeaf(issuer, pod.names, { publicKey: requestedKey(csr), notAfter });
          return { leaf: leaf.x509.raw, intermediates: [issuer.x509.raw], validUntil: notAfter };
        },
      },
      resolve: () => Promise.reject(new Error('nothing is resolved in this test')),
      logger: testLog,
      clock: systemClock,
    });
    this.onClose(() => identity.stop());
    await identity.ready;
    return identity;
  }

  meshConfig(pod: TestPod, times: Partial<MeshConfig['times']> = {}): MeshConfig {
    return {
      pod: { name: pod.names.serviceAccount, namespace: pod.names.namespace, ip: pod.ip, node: 'node' },
      workload: pod.names,
      identity: undefined,
      clusterDomain: 'cluster.local',
      destinationAddress: 'destination:8086',
      policyAddress: 'policy:8090',
      logLevel: 'info',
      limits: DEFAULT_LIMITS,
      accessLog: undefined,
      traces: undefined,
      times: { ...DEFAULT_TIMES, graceMs: 3_000, ...times },
    };
  }

  /** Times of a sidecar whose failures a test waits for. */
  fast(pod: TestPod): Pick<ProxyConfig, 'times'> {
    return {
      times: this.meshConfig(pod, { failFastMs: 300, inboundConnectMs: 5_000, outboundConnectMs: 5_000 })
        .times,
    };
  }

  /** How a part of this test is started. */
  async options(
    cluster: TestCluster,
    pod: TestPod,
    more: Partial<RuntimeOptions> = {},
  ): Promise<RuntimeOptions> {
    return {
      log: testLog,
      identity: await this.identity(cluster, pod),
      resolve: async (hostPort) => {
        const [address = '', number = ''] = hostPort.split(':');
        if (!/^[0-9.]+$/.test(address)) throw new Error(`${hostPort} has no address`);
        return [{ address, port: Number(number) }];
      },
      channel: () => cluster.controlPlane.channel(),
      ...more,
    };
  }

  async sidecar(
    cluster: TestCluster,
    pod: TestPod,
    more: Partial<ProxyConfig> = {},
    runtime: Partial<RuntimeOptions> = {},
  ): Promise<{ proxy: Proxy; drain(): Promise<void> }> {
    const config: ProxyConfig = {
      ...this.meshConfig(pod),
      mode: 'explicit',
      ports: port,
      ingress: false,
      adminShutdown: false,
      defaultPolicy: 'all-unauthenticated',
      clusterNetworks: [parseBlock('127.0.0.0/8')].filter((block) => block !== undefined),
      opaquePorts: new Set(),
      appPorts: new Set(),
      probes: new Map(),
      ...more,
    };
    const proxy = await startProxy(config, await this.options(cluster, pod, runtime));
    let drained = false;
    const drain = (): Promise<void> => {
      drained = true;
      return proxy.drain();
    };
    this.onClose(() => (drained ? undefined : drain()));
    return { proxy, drain };
  }
}

/** An app's port as the control plane tells it of a meshed pod. */
export function meshedEndpoint(pod: TestPod, appPort: number): FakeEndpoint {
  return {
    address: pod.ip,
    port: appPort,
    inboundPort: port.inbound,
    spiffeId: pod.spiffeId,
    dnsName: pod.dnsName,
  };
}

/** An exported service of another cluster as the control plane tells it: the gateway. */
export function mirrorEndpoint(gateway: TestPod, override: string): FakeEndpoint {
  return { ...meshedEndpoint(gateway, port.inbound), authorityOverride: override };
}
