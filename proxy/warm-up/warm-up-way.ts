import { BoundSocket } from 'node:net';
import { dnsIdentity, spiffeId } from '../../api/names.ts';
import { silentLog } from '../../log/index.ts';
import type { Channel, WorkloadIdentity } from '../../workload-identity/index.ts';
import type { MeshConfig, ProxyConfig, ProxyPorts } from '../config.ts';
import { startProxy, type Proxy } from '../proxy.ts';
import type { RuntimeOptions } from '../runtime.ts';
import { WARM_UP_HOST, type MakeWarmUpWay } from './warm-up.ts';
import { WarmUpControlPlane, type WarmUpEndpoint } from './warm-up-control-plane.ts';

/** ms for the connections of what a warm-up goes through to close. */
const GRACE_MS = 200;

/** Of a gateway's warm-up, whose process has no settings of a sidecar. */
const PLAIN_SIDECAR: Omit<ProxyConfig, keyof MeshConfig | 'ports' | 'appPorts' | 'mode'> = {
  adminShutdown: false,
  ingress: false,
  defaultPolicy: 'all-unauthenticated',
  clusterNetworks: [],
  opaquePorts: new Set(),
  probes: new Map(),
};

/** The way of a sidecar: a second one with ports, metrics and a control plane of its own. */
export function throughSidecar(config: ProxyConfig, identity: WorkloadIdentity): MakeWarmUpWay {
  return async (appPort) => {
    const [inbound = 0, outbound = 0, admin = 0] = freePorts(3);
    const controlPlane = new WarmUpControlPlane(endpointOf(config, inbound, appPort));
    const proxy = await secondSidecar(
      config,
      { inbound, outbound, admin },
      warmUpOptions(identity, controlPlane),
    );
    return {
      port: outbound,
      stopListening: () => proxy.stopListening(),
      drain: () => proxy.drain(),
    };
  };
}

/** Both ends of a warm-up's way: apps ask it, and it asks apps. */
export function secondSidecar(config: MeshConfig, ports: ProxyPorts, by: RuntimeOptions): Promise<Proxy> {
  const own = {
    ...PLAIN_SIDECAR,
    ...unseen(config),
    mode: 'explicit',
    ports,
    appPorts: new Set<number>(),
  } as const;
  return startProxy(own, by);
}

/** What listens on the loopback interface, and tells nobody of its requests. */
export function unseen<C extends MeshConfig>(config: C): C {
  const { pod, times } = config;
  return {
    ...config,
    pod: { ...pod, ip: WARM_UP_HOST },
    times: { ...times, graceMs: GRACE_MS },
    accessLog: undefined,
    traces: undefined,
  };
}

/** How what is on the way is started: with the identity of the process. */
export function warmUpOptions(identity: WorkloadIdentity, controlPlane: Channel): RuntimeOptions {
  return { log: silentLog, identity, channel: () => controlPlane };
}

/** A port of this process behind what takes mutual TLS for it. */
export function endpointOf(config: MeshConfig, inboundPort: number, port: number): WarmUpEndpoint {
  return {
    address: WARM_UP_HOST,
    port,
    inboundPort,
    spiffeId: spiffeId(config.workload),
    dnsName: dnsIdentity(config.workload),
  };
}

/** Ports that nobody listens on now. */
export function freePorts(count: number): number[] {
  const bound = Array.from({ length: count }, () => new BoundSocket({ host: WARM_UP_HOST }));
  const ports = bound.map((one) => one.address().port);
  for (const one of bound) one.close();
  return ports;
}
