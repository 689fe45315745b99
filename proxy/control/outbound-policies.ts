import type { OutboundPolicy } from '../../api/proto/gen/linkerd/outbound_pb.js';
import { methods } from '../../api/proto/methods.ts';
import type { Channel, Clock, Timer } from '../../workload-identity/index.ts';
import { compileOutboundPolicy, type OutboundRules } from '../route/outbound-rules.ts';
import type { ControlCells } from '../telemetry/control-metrics.ts';
import { Watch } from './watch.ts';

/** ms that the first requests for a target wait for its policy: an absent control plane must not stop the apps. */
const FIRST_ANSWER_MS = 1_000;

export interface OutboundPolicyOptions {
  channel: Channel;
  /** Sent along verbatim: says where we are, for short names. */
  contextToken: string;
  clock: Clock;
  random: () => number;
  metrics: ControlCells;
}

/** The policy of one target as the control plane streams it; the last one holds while it is away, or while nobody uses the target. */
export class OutboundPolicyWatch {
  readonly #options: OutboundPolicyOptions;
  readonly #watch: Watch<OutboundPolicy>;
  readonly #settled: () => void;
  #rules: OutboundRules | undefined;
  #isSettled = false;
  #timer: Timer | undefined;

  /** @param settled is called once, when requests need not wait for the policy any longer */
  constructor(
    authority: string,
    options: OutboundPolicyOptions,
    changed: (rules: OutboundRules) => void,
    settled: () => void,
  ) {
    this.#options = options;
    this.#settled = settled;
    const { channel, contextToken } = options;
    const request = {
      sourceWorkload: contextToken,
      target: { case: 'authority' as const, value: authority },
    };
    this.#watch = new Watch<OutboundPolicy>({
      ...options,
      open: (handlers) => channel.serverStream(methods.watchOutbound, request, handlers),
      message: (policy) => {
        this.#rules = compileOutboundPolicy(policy, this.#rules);
        changed(this.#rules);
        this.#settle();
      },
      ended: () => {
        this.#settle();
        // Also what is not found may be there later: the watch ends with the target.
        return false;
      },
    });
  }

  /** The policy has been told, or is not going to be soon. */
  get settled(): boolean {
    return this.#isSettled;
  }

  start(): void {
    this.#watch.start();
    if (!this.#isSettled && this.#timer === undefined) this.#awaitAnswer();
  }

  /** A method of its own, as every request calls `start`: what a closure holds is allocated by each call of the function that it stands in. */
  #awaitAnswer(): void {
    this.#timer = this.#options.clock.after(FIRST_ANSWER_MS, () => this.#settle());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#watch.stop();
  }

  #settle(): void {
    this.#timer?.cancel();
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#settled();
  }
}
