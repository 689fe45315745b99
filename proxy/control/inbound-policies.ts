import { InboundServerPolicies, type Server } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { grpcStatus, type Channel, type Clock, type GrpcError } from '../../workload-identity/index.ts';
import { compilePortPolicy, type PortPolicy } from '../policy/inbound-policy.ts';
import type { Gauge } from '../telemetry/registry.ts';
import { Watch } from './watch.ts';

/** Ports that are watched at once. Peers choose the port they name, so their number must have an end; others get the default policy. */
const MAX_PORTS = 256;

export interface InboundPoliciesOptions {
  channel: Channel;
  /** `{"ns":…,"pod":…}`. */
  workload: string;
  /** Holds until the policy API has answered, and where it cannot. */
  fallback: (port: number) => PortPolicy;
  clock: Clock;
  random: () => number;
  live: Gauge;
  broken: Gauge;
}

/** The policy of one port as it is now: read at each request. */
export interface PolicyCell {
  readonly current: PortPolicy;
}

/** Policies of the pod's own ports, as the policy API streams them; the last known holds while it is away. */
export class InboundPolicies {
  readonly #options: InboundPoliciesOptions;
  readonly #ports = new Map<number, { cell: { current: PortPolicy }; watch: Watch<Server> }>();

  constructor(options: InboundPoliciesOptions) {
    this.#options = options;
  }

  /** Also starts to watch the port. */
  port(port: number): PolicyCell {
    const known = this.#ports.get(port);
    if (known !== undefined) return known.cell;
    const cell = { current: this.#options.fallback(port) };
    if (this.#ports.size >= MAX_PORTS) return cell;
    const watch = this.#watch(port, cell);
    this.#ports.set(port, { cell, watch });
    watch.start();
    return cell;
  }

  stop(): void {
    for (const { watch } of this.#ports.values()) watch.stop();
  }

  #watch(port: number, cell: { current: PortPolicy }): Watch<Server> {
    const { channel, workload } = this.#options;
    return new Watch<Server>({
      ...this.#options,
      open: (handlers) =>
        channel.serverStream(InboundServerPolicies.method.watchPort, { workload, port }, handlers),
      message: (server) => {
        cell.current = compilePortPolicy(server);
      },
      ended: isFinal,
    });
  }
}

/** A policy API that does not know the workload or the call: the default holds, as in Linkerd. */
function isFinal(error: GrpcError | undefined): boolean {
  return error?.code === grpcStatus.invalidArgument || error?.code === grpcStatus.unimplemented;
}
