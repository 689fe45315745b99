/** A sidecar or a gateway as a process of its own, with a control plane of the test kind beside it; certificates come from the parent, by message. */
import { env as variable } from '../api/names.ts';
import { startGateway } from '../gateway/index.ts';
import { silentLog } from '../log/index.ts';
import { addSeries } from './add-series.ts';
import { backgroundThreadsGiveWay } from '../proxy/background-threads.ts';
import { proxyConfig } from '../proxy/config.ts';
import { gatewayConfig, startProxy } from '../proxy/index.ts';
import { giveSpareMemoryBack } from '../proxy/spare-memory.ts';
import { warmUp } from '../proxy/warm-up.ts';
import { FakeControlPlane } from '../proxy/testing/mesh/fake-control-plane.ts';
import type { FakeEndpoint, FakeExport } from '../proxy/testing/mesh/fake-control-plane.ts';
import { createWorkloadIdentity, systemClock, type WorkloadNames } from '../workload-identity/index.ts';

/** What the parent sends first. */
export interface SidecarSetup {
  kind: 'setup';
  names: WorkloadNames;
  ip: string;
  anchorsFile: string;
  /** A service that the control plane knows. */
  service: { authority: string; endpoints: FakeEndpoint[] };
  /** A sidecar when absent. */
  part?: 'gateway';
  /** What a gateway may serve. */
  exports?: FakeExport[];
  /** Further variables of its environment. */
  env?: Record<string, string>;
  /** Series of other targets that it has, in addition. */
  series?: number;
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

backgroundThreadsGiveWay();
const setup = await received<SidecarSetup>('setup');
const { names, ip } = setup;
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
  logger: silentLog,
  clock: systemClock,
});
await identity.ready;
const controlPlane = new FakeControlPlane();
controlPlane.setService(setup.service.authority, setup.service.endpoints);
controlPlane.setExports(setup.exports ?? []);
const env = {
  POD_NAME: names.serviceAccount,
  POD_NAMESPACE: names.namespace,
  POD_IP: ip,
  SERVICE_ACCOUNT: names.serviceAccount,
  [variable.clusterName]: names.clusterId,
  ...setup.env,
};
const options = { log: silentLog, identity, channel: () => controlPlane.channel() };
if (setup.part === 'gateway') {
  await startGateway(gatewayConfig(env), options);
  void giveSpareMemoryBack();
} else {
  const config = proxyConfig(env);
  const proxy = await startProxy(config, options);
  if (setup.series !== undefined) addSeries(proxy.registry, setup.series);
  // As `proxy/main.ts` and `proxy/run.ts` do.
  const warm = warmUp(config, identity, () => proxy.busy);
  const spareMemory = giveSpareMemoryBack();
  Promise.all([warm, spareMemory]).then(
    ([, spare]) => (proxy.busy ? undefined : spare?.settle()),
    () => process.exit(1),
  );
}
process.send?.({ kind: 'ready' });
process.once('SIGTERM', () => process.exit(0));
