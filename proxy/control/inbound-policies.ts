import { InboundServerPolicies, type Server } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { grpcStatus, type Channel, type Clock, type GrpcError } from '../../workload-identity/index.ts';
import { compilePortPolicy, type PortPolicy } from '../policy/inbound-policy.ts';
import type { ControlCells } from '../telemetry/control-metrics.ts';
import { Watch } from './watch.ts';

/** Ports that are watched at once. Peers choose the port they name, so their number must have an end; others get the default policy. */
const MAX_PORTS = 256;

/** ms that the first requests for a port wait for its policy. After it the default holds, as in Linkerd: an absent control plane must not stop the apps. */
const FIRST_ANSWER_MS = 1_000;

export interface InboundPoliciesOptions {
  channel: Channel;
  /** `{"ns":…,"pod":…}`. */
  workload: string;
  /** Holds where the policy API does not answer. */
  fallback: (port: number) => PortPolicy;
  clock: Clock;
  random: () => number;
  metrics: ControlCells;
}

/** The policy of one port as it is now. */
export class PolicyCell {
  #current: PortPolicy | undefined;
  #waiting: (() => void)[] = [];

  /** Undefined: the policy API has just been asked. `whenKnown` tells. */
  get current(): PortPolicy | undefined {
    return this.#current;
  }

  whenKnown(callback: () => void): void {
    if (this.#current === undefined) this.#waiting.push(callback);
    else callback();
  }

  set(policy: PortPolicy): void {
    this.#current = policy;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }
}

/** Policies of the pod's own ports, as the policy API streams them; the last known holds while it is away. */
export class InboundPolicies {
  readonly #options: InboundPoliciesOptions;
  readonly #ports = new Map<number, { cell: PolicyCell; watch: Watch<Server> }>();

  constructor(options: InboundPoliciesOptions) {
    this.#options = options;
  }

  /** Also starts to watch the port. */
  port(port: number): PolicyCell {
    const known = this.#ports.get(port);
    if (known !== undefined) return known.cell;
    const cell = new PolicyCell();
    const useFallback = (): void => {
      if (cell.current === undefined) cell.set(this.#options.fallback(port));
    };
    if (this.#ports.size >= MAX_PORTS) {
      useFallback();
      return cell;
    }
    const watch = this.#watch(port, cell, useFallback);
    this.#ports.set(port, { cell, watch });
    this.#options.clock.after(FIRST_ANSWER_MS, useFallback);
    watch.start();
    return cell;
  }

  stop(): void {
    for (const { watch } of this.#ports.values()) watch.stop();
  }

  #watch(port: number, cell: PolicyCell, useFallback: () => void): Watch<Server> {
    const { channel, workload } = this.#options;
    return new Watch<Server>({
      ...this.#options,
      open: (handlers) =>
        channel.serverStream(InboundServerPolicies.method.watchPort, { workload, port }, handlers),
      message: (server) => cell.set(compilePortPolicy(server)),
      ended: (error) => {
        useFallback();
        return isFinal(error);
      },
    });
  }
}

/** A policy API that does not know the workload or the call: the default holds, as in Linkerd. */
function isFinal(error: GrpcError | undefined): boolean {
  return error?.code === grpcStatus.invalidArgument || error?.code === grpcStatus.unimplemented;
}
