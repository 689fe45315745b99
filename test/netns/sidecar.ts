/** A sidecar of a network namespace, in redirect mode, or a gateway: the real ones, with the fake control plane of the proxy's own tests. */
import { startGateway } from '../../gateway/index.ts';
import { DEFAULT_LIMITS, DEFAULT_TIMES, type MeshConfig } from '../../proxy/config.ts';
import { parseBlock } from '../../proxy/policy/address-block.ts';
import { startProxy } from '../../proxy/proxy.ts';
import type { RuntimeOptions } from '../../proxy/runtime.ts';
import {
  FakeControlPlane,
  identitiesPolicy,
  OPEN_POLICY,
  UNSEEN_POLICY,
} from '../../proxy/testing/mesh/fake-control-plane.ts';
import { createWorkloadIdentity, systemClock, type Logger } from '../../workload-identity/index.ts';
import type { FromSidecar, ToSidecar } from './messages.ts';

type Start = Extract<ToSidecar, { kind: 'start' }>;
type StartGateway = Extract<ToSidecar, { kind: 'start-gateway' }>;
type Leaf = Extract<ToSidecar, { kind: 'leaf' }>;

let controlPlane = new FakeControlPlane();
const log: Logger = {
  debug() {},
  info: tell,
  warn: tell,
  error: tell,
};
let leaf = Promise.withResolvers<Leaf>();

process.on('message', (message: ToSidecar) => {
  if (message.kind === 'start') void start(message).then(() => send({ kind: 'ready' }));
  else if (message.kind === 'start-gateway') void startDoor(message).then(() => send({ kind: 'ready' }));
  else if (message.kind === 'leaf') leaf.resolve(message);
  else {
    if (message.kind === 'policy') {
      const { port, identities } = message;
      controlPlane.setPolicy(port, identities.length === 0 ? OPEN_POLICY : identitiesPolicy(identities));
    } else if (message.kind === 'unseen') controlPlane.setPolicy(message.port, UNSEEN_POLICY);
    else controlPlane.setService(message.authority, message.endpoints, { opaque: message.opaque });
    send({ kind: 'done' });
  }
});
process.on('disconnect', () => process.exit(0));

async function start(asked: Start): Promise<void> {
  const { opaquePorts, appPorts, probes, ports, ingress, defaultPolicy, clusterNetworks } = asked;
  if (defaultPolicy !== undefined) controlPlane = new FakeControlPlane('untold');
  const proxy = await startProxy(
    {
      ...meshConfig(asked),
      mode: 'redirect',
      ports,
      ingress,
      adminShutdown: true,
      defaultPolicy: defaultPolicy ?? 'all-unauthenticated',
      clusterNetworks: clusterNetworks.map(parseBlock).filter((block) => block !== undefined),
      opaquePorts: new Set(opaquePorts),
      appPorts: new Set(appPorts),
      probes: new Map(probes),
    },
    {
      ...(await runtimeOf(asked)),
      shutDown: () => void proxy.drain().then(() => process.exit(0)),
    },
  );
}

async function startDoor(asked: StartGateway): Promise<void> {
  controlPlane.setExports(asked.exports);
  const gateway = await startGateway(meshConfig(asked), await runtimeOf(asked));
  await gateway.told;
}

function meshConfig({ names, ip }: Start | StartGateway): MeshConfig {
  return {
    pod: { name: names.serviceAccount, namespace: names.namespace, ip, node: 'node' },
    workload: names,
    identity: undefined,
    clusterDomain: 'cluster.local',
    destinationAddress: 'destination:8086',
    policyAddress: 'policy:8090',
    logLevel: 'info',
    times: DEFAULT_TIMES,
    limits: DEFAULT_LIMITS,
    accessLog: undefined,
    traces: undefined,
  };
}

async function runtimeOf({ names, anchorsFile }: Start | StartGateway): Promise<RuntimeOptions> {
  const identity = createWorkloadIdentity({
    names,
    podName: names.serviceAccount,
    anchorsFile,
    certify: { kind: 'local', certifier: ({ csr }) => certify(csr) },
    resolve: () => Promise.reject(new Error('nothing is resolved in this test')),
    logger: log,
    clock: systemClock,
  });
  await identity.ready;
  return { log, identity, channel: () => controlPlane.channel() };
}

async function certify(csr: Uint8Array) {
  leaf = Promise.withResolvers<Leaf>();
  send({ kind: 'csr', csr: Buffer.from(csr).toString('base64') });
  const made = await leaf.promise;
  return {
    leaf: Buffer.from(made.leaf, 'base64'),
    intermediates: [Buffer.from(made.issuer, 'base64')],
    validUntil: made.validUntil,
  };
}

function send(message: FromSidecar): void {
  process.send?.(message);
}

function tell(fields: object, message: string): void {
  if (process.env['DEBUG_NETNS_TESTS'] !== undefined)
    process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
}
