import type { Server } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { methods } from '../../api/proto/methods.ts';
import {
  grpcStatus,
  type Channel,
  type Clock,
  type GrpcError,
  type Timer,
} from '../../workload-identity/index.ts';
import {
  compilePortPolicy,
  defaultPortPolicy,
  type OwnPort,
  type PortPolicy,
} from '../policy/inbound-policy.ts';
import type { ControlCells } from '../telemetry/control-metrics.ts';
import type { Head } from '../message/head.ts';
import { Watch } from './watch.ts';

/**
 * Ports that are watched at once. Peers choose the port they name, so their number must have an end: beyond it a port
 * that was not asked for of late is forgotten, where its policy is the default and the control plane is there to tell
 * it again.
 */
const MAX_WATCHED = 256;

/** Ports whose policies are asked for before they are used: pods declare a few. Of more the rest is asked for when it is used. */
export const MAX_LEARNT = 32;

/**
 * ms that the first requests for a port wait for its policy. After it the default holds, as in Linkerd: an absent
 * control plane must not stop the apps. A control plane that is there answers before where more than the default may be
 * closed.
 */
const FIRST_ANSWER_MS = 1_000;

export interface InboundPoliciesOptions {
  channel: Channel;
  /** `{"ns":…,"pod":…}`. */
  workload: string;
  /** What the pod was told of its port when it was made. */
  own: (port: number) => OwnPort;
  /** Holds where the policy API does not answer. */
  fallback: (own: OwnPort) => PortPolicy;
  clock: Clock;
  random: () => number;
  metrics: ControlCells;
}

/** The policy of one port as it is now. */
export interface PolicyCell {
  readonly number: number;
  /** Undefined: the policy API is being asked. `whenKnown` tells. */
  readonly current: PortPolicy | undefined;
  /** The kubelet asks the port's app by HTTP: a connection need not wait for the policy to be looked at. */
  readonly probed: boolean;
  /**
   * What holds for a request: the policy, or, while that is being asked for, the sidecar's own default for the
   * kubelet's probes, which do not wait as long. Undefined for all others.
   * @param head undefined: the stream is opaque
   */
  policyFor(head: Head | undefined): PortPolicy | undefined;
  /** Starts to ask where nobody does. */
  whenKnown(callback: () => void): void;
}

/** Policies of the pod's own ports, as the policy API streams them; the last known holds while it is away. */
export class InboundPolicies {
  readonly #options: InboundPoliciesOptions;
  readonly #byNumber = new Map<number, WatchedPort>();
  /**
   * In the order in which they are looked at for one that nobody needs. A connection may still use a port that was
   * forgotten, and have it watched beside a newer one of its number.
   */
  readonly #watched = new Set<WatchedPort>();
  #stopped = false;

  constructor(options: InboundPoliciesOptions) {
    this.#options = options;
  }

  /** Also starts to watch the port. */
  port(number: number): PolicyCell {
    const port =
      this.#byNumber.get(number) ?? new WatchedPort(number, this.#options, (one) => this.#enter(one));
    port.ask();
    return port;
  }

  /** Asks for the policies of ports that are sure to be used, as Linkerd's proxy does: the first request for each need not wait for a round trip then. */
  learn(ports: Iterable<number>): void {
    let left = MAX_LEARNT;
    for (const port of ports) {
      if (left-- === 0) return;
      this.port(port);
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const port of this.#watched) this.#forget(port);
  }

  #enter(port: WatchedPort): boolean {
    if (this.#stopped || (this.#watched.size >= MAX_WATCHED && !this.#makeRoom())) return false;
    this.#watched.add(port);
    this.#byNumber.set(port.number, port);
    return true;
  }

  /** Second chance: what was used since it was looked at last goes to the end. */
  #makeRoom(): boolean {
    let looks = 2 * MAX_WATCHED;
    for (const port of this.#watched) {
      if (looks-- === 0) break;
      if (port.isSpare()) {
        this.#forget(port);
        return true;
      }
      this.#watched.delete(port);
      this.#watched.add(port);
    }
    return false;
  }

  #forget(port: WatchedPort): void {
    this.#watched.delete(port);
    if (this.#byNumber.get(port.number) === port) this.#byNumber.delete(port.number);
    port.forget();
  }
}

type PortState =
  | { readonly kind: 'unwatched' }
  | { readonly kind: 'asking'; readonly watch: Watch<Server>; readonly timer: Timer }
  | {
      readonly kind: 'known';
      readonly watch: Watch<Server>;
      readonly policy: PortPolicy;
      readonly spare: boolean;
    }
  /** Too many ports are being asked for. The port is closed: what it would be by default may be too much. */
  | { readonly kind: 'refused'; readonly policy: PortPolicy; readonly timer: Timer };

class WatchedPort implements PolicyCell {
  readonly number: number;
  readonly #options: InboundPoliciesOptions;
  readonly #enter: (port: WatchedPort) => boolean;
  readonly #own: OwnPort;
  #default: PortPolicy | undefined;
  #state: PortState = { kind: 'unwatched' };
  #used = true;
  #waiting: (() => void)[] = [];

  /** @param enter makes room for one more watch; false: there is none */
  constructor(number: number, options: InboundPoliciesOptions, enter: (port: WatchedPort) => boolean) {
    this.number = number;
    this.#options = options;
    this.#enter = enter;
    this.#own = options.own(number);
  }

  get current(): PortPolicy | undefined {
    this.#used = true;
    const state = this.#state;
    return state.kind === 'known' || state.kind === 'refused' ? state.policy : undefined;
  }

  get #fallback(): PortPolicy {
    return (this.#default ??= this.#options.fallback(this.#own));
  }

  get probed(): boolean {
    return this.#own.probes.length > 0 && !this.#own.opaque;
  }

  policyFor(head: Head | undefined): PortPolicy | undefined {
    const { current } = this;
    if (current !== undefined || head === undefined) return current;
    return this.probed && this.#fallback.isProbe(head) ? this.#fallback : undefined;
  }

  whenKnown(callback: () => void): void {
    this.ask();
    if (this.#state.kind === 'asking') this.#waiting.push(callback);
    else callback();
  }

  ask(): void {
    this.#used = true;
    if (this.#state.kind !== 'unwatched') return;
    const { clock } = this.#options;
    if (!this.#enter(this)) {
      const timer = clock.after(FIRST_ANSWER_MS, () => this.forget());
      this.#state = { kind: 'refused', policy: CLOSED, timer };
      return;
    }
    const watch = this.#watch();
    const timer = clock.after(FIRST_ANSWER_MS, () => this.#useFallback());
    this.#state = { kind: 'asking', watch, timer };
    watch.start();
  }

  /** Can be forgotten, and was not used since the last call. */
  isSpare(): boolean {
    const used = this.#used;
    this.#used = false;
    const state = this.#state;
    return !used && state.kind === 'known' && state.spare && state.watch.live;
  }

  /** Who needs it next has it asked for anew. */
  forget(): void {
    const state = this.#state;
    this.#state = { kind: 'unwatched' };
    if (state.kind === 'asking' || state.kind === 'refused') state.timer.cancel();
    if (state.kind === 'asking' || state.kind === 'known') state.watch.stop();
  }

  #watch(): Watch<Server> {
    const { channel, workload } = this.#options;
    const request = { workload, port: this.number };
    return new Watch<Server>({
      ...this.#options,
      open: (handlers) => channel.serverStream(methods.watchPort, request, handlers),
      message: (server) => {
        const before = this.#state.kind === 'known' ? this.#state.policy : undefined;
        const policy = compilePortPolicy(server, before, this.#own.probes);
        this.#set(policy, server.labels['kind'] === 'default');
      },
      ended: (error) => {
        const final = isFinal(error);
        // A control plane that is just not there is waited for: it may close what the default leaves open.
        if (final) this.#useFallback();
        return final;
      },
    });
  }

  #useFallback(): void {
    if (this.#state.kind === 'asking') this.#set(this.#fallback, true);
  }

  #set(policy: PortPolicy, spare: boolean): void {
    const state = this.#state;
    if (state.kind !== 'asking' && state.kind !== 'known') return;
    if (state.kind === 'asking') state.timer.cancel();
    this.#state = { kind: 'known', watch: state.watch, policy, spare };
    for (const callback of this.#waiting.splice(0)) callback();
  }
}

const CLOSED = defaultPortPolicy('deny', [], { opaque: false, probes: [] });

/** A policy API that does not know the workload or the call: the default holds, as in Linkerd. */
function isFinal(error: GrpcError | undefined): boolean {
  return error?.code === grpcStatus.invalidArgument || error?.code === grpcStatus.unimplemented;
}
