/** A sidecar as a process of its own, with a control plane of the test kind beside it; certificates come from the parent, by message. */
import { port } from '../api/names.ts';
import { DEFAULT_TIMES } from '../proxy/config.ts';
import { startProxy } from '../proxy/index.ts';
import { parseBlock } from '../proxy/policy/address-block.ts';
import { FakeControlPlane } from '../proxy/testing/mesh/fake-control-plane.ts';
import type { FakeEndpoint } from '../proxy/testing/mesh/fake-control-plane.ts';
import { createWorkloadIdentity, systemClock, type WorkloadNames } from '../workload-identity/index.ts';

/** What the parent sends first. */
export interface SidecarSetup {
  kind: 'setup';
  names: WorkloadNames;
  ip: string;
  anchorsFile: string;
  /** A service that the control plane knows. */
  service: { authority: string; endpoints: FakeEndpoint[] };
}

/** The parent's answer to a signing request: DER as base64. */
export interface Certified {
  kind: 'certified';
  leaf: string;
  issuer: string;
  notAfter: number;
}

function received<T extends { kind: string }>(kind: T['kind']): Promise<T> {
  return new Promise((resolve) => {
    process.on('message', (value: T) => {
      if (value.kind === kind) resolve(value);
    });
  });
}

const setup = await received<SidecarSetup>('setup');
const { names, ip } = setup;
const log = { debug() {}, info() {}, warn() {}, error() {} };
const identity = createWorkloadIdentity({
  names,
  podName: names.serviceAccount,
  anchorsFile: setup.anchorsFile,
  certify: {
    kind: 'local',
    certifier: async ({ csr }) => {
      const answer = received<Certified>('certified');
      process.send?.({ kind: 'csr', csr: Buffer.from(csr).toString('base64') });
      const { leaf, issuer, notAfter } = await answer;
      return {
        leaf: Buffer.from(leaf, 'base64'),
        intermediates: [Buffer.from(issuer, 'base64')],
        validUntil: notAfter,
      };
    },
  },
  resolve: () => Promise.reject(new Error('a benchmark resolves nothing')),
  logger: log,
  clock: systemClock,
});
await identity.ready;
const controlPlane = new FakeControlPlane();
controlPlane.setService(setup.service.authority, setup.service.endpoints);
const cluster = parseBlock('127.0.0.0/8');
await startProxy(
  {
    pod: { name: names.serviceAccount, namespace: names.namespace, ip, node: 'node' },
    workload: names,
    identity: undefined,
    clusterDomain: 'cluster.local',
    destinationAddress: 'destination:8086',
    policyAddress: 'policy:8090',
    logLevel: 'info',
    times: DEFAULT_TIMES,
    mode: 'explicit',
    ports: port,
    adminShutdown: false,
    defaultPolicy: 'all-unauthenticated',
    clusterNetworks: cluster === undefined ? [] : [cluster],
    opaquePorts: new Set(),
  },
  { log, identity, channel: () => controlPlane.channel() },
);
process.send?.({ kind: 'ready' });
process.once('SIGTERM', () => process.exit(0));
