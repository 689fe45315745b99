import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { port as ports } from '../api/names.ts';
import type { Clock, Timer } from '../kubernetes/clock.ts';
import type { LinkSettings } from './link-settings.ts';
import type { GatewayService } from './messages.ts';
import type { GatewayView } from './mirror-objects.ts';
import type { Probe, ProbeResult, TrustVerdict } from './probe-connection.ts';

/** Resolves a host name to IPs; rejects when it has none. */
export type ResolveHost = (host: string) => Promise<string[]>;

/** What is known of the trust between the clusters. */
export interface Trust {
  readonly verdict: TrustVerdict;
  readonly reason: string;
  readonly message: string;
}

export interface GatewayMonitorOptions {
  settings: LinkSettings;
  /** Where it was before, used until the target tells. */
  lastKnown: { addresses?: readonly string[]; port?: number };
  /** What was known of this very gateway, used until a probe shows more. */
  trust?: Trust | undefined;
  probe: Probe;
  resolve: ResolveHost;
  /** The view of the gateway changed: mirrors must follow. */
  onChange: (view: GatewayView) => void;
  /** Each verdict of a probe. */
  onProbe: (result: ProbeResult) => void;
  clock: Clock;
  random: () => number;
}

/** Linkerd's: up to a tenth on top of the period. */
const JITTER = 0.1;
/**
 * ms between probes as long as nothing is known of a gateway: somebody who has just made a link waits for it. They are over
 * with the verdict, after so many periods as it takes failures at most.
 */
const UNKNOWN_PERIOD_MS = 250;
/** Host names are looked up again this often, and at each failed probe. */
const RESOLVE_MS = 30_000;

/** Knows where a target's gateway is and whether it lives. One failure is none: death takes `failureThreshold` in a row, life one success. */
export class GatewayMonitor {
  readonly #options: GatewayMonitorOptions;
  /** IPs and host names, as told, and the port that goes with them. */
  #told: { addresses: readonly string[]; port: number };
  #view: GatewayView;
  #failures = 0;
  /** When a probe is next due by the period: failures of earlier ones do not count. */
  #dueAt = Number.NEGATIVE_INFINITY;
  #resolvedAt = Number.NEGATIVE_INFINITY;
  #last: ProbeResult | undefined;
  #trust: Trust;
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(options: GatewayMonitorOptions) {
    const { lastKnown } = options;
    const { gateway } = options.settings;
    this.#options = options;
    this.#trust = options.trust ?? notProbed;
    this.#told = {
      addresses: gateway.addresses ?? lastKnown.addresses ?? [],
      port: gateway.port ?? lastKnown.port ?? ports.inbound,
    };
    const { addresses, port } = this.#told;
    this.#view = { addresses: addresses.filter((a) => isIP(a) !== 0).sort(), port, alive: undefined };
  }

  get view(): GatewayView {
    return this.#view;
  }

  /** The last probe's result. */
  get last(): ProbeResult | undefined {
    return this.#last;
  }

  get trust(): Trust {
    return this.#trust;
  }

  start(): void {
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#round;
  }

  /** What the target says of its gateway; a Service without addresses does not make the known ones go. */
  setService(service: GatewayService | undefined): void {
    const { gateway } = this.#options.settings;
    const told = gateway.addresses ?? service?.addresses ?? [];
    if (service === undefined || told.length === 0) return;
    const port = gateway.port ?? service.port ?? this.#told.port;
    if (isDeepStrictEqual(this.#told, { addresses: told, port })) return;
    this.#told = { addresses: told, port };
    this.#resolvedAt = Number.NEGATIVE_INFINITY;
    this.#schedule(0);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(ms, () => {
      this.#round ??= this.#runRound();
    });
  }

  async #runRound(): Promise<void> {
    const { clock, random, settings } = this.#options;
    const due = clock.now() >= this.#dueAt;
    await this.#refreshAddresses();
    await this.#probeAll(due);
    this.#round = undefined;
    if (due) this.#dueAt = clock.now() + settings.probe.periodMs * (1 + JITTER * random());
    const untilDue = Math.max(0, this.#dueAt - clock.now());
    this.#schedule(this.#view.alive === undefined ? Math.min(UNKNOWN_PERIOD_MS, untilDue) : untilDue);
  }

  async #refreshAddresses(): Promise<void> {
    const { clock, resolve } = this.#options;
    if (this.#failures === 0 && clock.now() - this.#resolvedAt < RESOLVE_MS) return;
    const told = this.#told;
    const found = await Promise.allSettled(
      told.addresses.map((a) => (isIP(a) === 0 ? resolve(a) : Promise.resolve([a]))),
    );
    const addresses = [...new Set(found.flatMap((f) => (f.status === 'fulfilled' ? f.value : [])))].sort();
    // A name that does not resolve says nothing about the addresses it had: they stay, and the probe judges them.
    if (told !== this.#told || addresses.length === 0) return;
    this.#resolvedAt = clock.now();
    this.#setView({ ...this.#view, addresses, port: told.port });
  }

  async #probeAll(due: boolean): Promise<void> {
    const { settings, probe } = this.#options;
    const { addresses, port } = this.#view;
    const { path, timeoutMs } = settings.probe;
    const expected = settings.gateway.identity;
    const results = await Promise.all(
      addresses.map((address) => probe({ address, port, path, timeoutMs, expected })),
    );
    const result = results.find((r) => r.kind === 'alive') ?? results[0] ?? noAddress;
    if (!this.#stopped) this.#judge(result, due);
  }

  #judge(result: ProbeResult, due: boolean): void {
    this.#last = result;
    this.#noteTrust(result);
    this.#options.onProbe(result);
    if (result.kind === 'alive') {
      this.#failures = 0;
      this.#setView({ ...this.#view, alive: true });
      return;
    }
    // Without a certificate of our own nothing was learnt about the gateway.
    if (result.reason === 'NoIdentity' || !due) return;
    this.#failures += 1;
    if (this.#failures >= this.#options.settings.probe.failureThreshold)
      this.#setView({ ...this.#view, alive: false });
  }

  /** A connection that fails says nothing about trust: the last verdict stays. */
  #noteTrust(result: ProbeResult): void {
    if (result.kind === 'alive' || result.trust === 'shared') {
      this.#trust = {
        verdict: 'shared',
        reason: 'Verified',
        message: 'each side accepts the other by a shared trust anchor',
      };
    } else if (result.trust === 'refused') {
      this.#trust = { verdict: 'refused', reason: result.reason, message: result.message };
    } else if (this.#trust.verdict === 'unknown') {
      this.#trust = { verdict: 'unknown', reason: result.reason, message: result.message };
    }
  }

  #setView(view: GatewayView): void {
    if (isDeepStrictEqual(view, this.#view)) return;
    this.#view = view;
    this.#options.onChange(view);
  }
}

const notProbed: Trust = {
  verdict: 'unknown',
  reason: 'NotProbed',
  message: 'the gateway was not reached yet',
};

const noAddress: ProbeResult = {
  kind: 'failed',
  reason: 'NoAddress',
  message:
    "the gateway's Service has neither a load-balancer address nor nodes with a node port yet, and the Link names none",
  trust: 'unknown',
};
