import { InFlight } from './in-flight.ts';
import { Peers } from './outbound/peers.ts';
import type { TargetOptions } from './outbound/target.ts';
import { Targets } from './outbound/targets.ts';
import type { Runtime } from './runtime.ts';

/** What the targets of a sidecar and of a gateway differ in. */
export type TargetsOf = Pick<
  TargetOptions,
  'beyond' | 'inFlight' | 'observer' | 'opaquePorts' | 'throughGateways'
>;

/** Connections to other pods, shared by all targets. */
export function createPeers(runtime: Runtime): Peers {
  const { config } = runtime;
  return new Peers({ ...runtime, localAddress: config.pod.ip, connectMs: config.times.outboundConnectMs });
}

/** Where requests go, by the name that is asked for: endpoints and policies are what the control plane tells of it. */
export function createTargets(runtime: Runtime, peers: Peers, of: TargetsOf): Targets {
  const { clock, random, contextToken, destination, policy, control, config } = runtime;
  const asking = { clock, random, contextToken };
  return new Targets({
    ...runtime,
    ...of,
    peers,
    discovery: { ...asking, channel: destination, metrics: control.cells('destination') },
    policy: { ...asking, channel: policy, metrics: control.cells('policy') },
    failFastMs: config.times.failFastMs,
  });
}

/** What counts the requests that are under way on one side, and refuses those beyond its limit. */
export function createInFlight({ config }: Runtime): InFlight {
  return new InFlight(config.limits.maxInFlight);
}
