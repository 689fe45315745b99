import { isDeepStrictEqual } from 'node:util';
import type { Link } from '../api/isthmus-types.ts';
import type { Clock } from '../kubernetes/clock.ts';
import type { Log } from '../kubernetes/log.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { GatewayMonitor } from './gateway-monitor.ts';
import type { ResolveHost, Trust } from './gateway-monitor.ts';
import { linkConditions } from './link-conditions.ts';
import type { LinkView } from './link-conditions.ts';
import type { LinkSettings } from './link-settings.ts';
import type { LinkReport, MirrorStatus, PlainConfig } from './messages.ts';
import type { LinkMetrics } from './metrics.ts';
import type { Probe } from './probe-connection.ts';
import { StatusWriter } from './status-writer.ts';
import type { DesiredStatus } from './status-writer.ts';
import { WorkerHost } from './worker-host.ts';

/** What all links share. */
export interface LinkContext {
  client: KubernetesClient;
  /** For the workers' own clients of the local API. */
  local: PlainConfig;
  ownClusterId: string;
  probe: Probe;
  resolve: ResolveHost;
  metrics: (target: string) => LinkMetrics;
  /** Heap of a link's worker thread, in MiB. */
  workerHeapMiB: number;
  logLevel: string;
  clock: Clock;
  random: () => number;
  logger: Log;
  /** Milliseconds; back-off of the workers' reflectors and of their restarts. */
  backoff?: { initialMs: number; maxMs: number };
  /** Milliseconds between two writes of a Link's status at least. Default a second. */
  statusIntervalMs?: number | undefined;
}

/** What a Link asks for, as far as it can be done. */
export type LinkPlan =
  | { kind: 'run'; settings: LinkSettings; remote: PlainConfig }
  | { kind: 'no-credentials'; settings: LinkSettings; reason: string; message: string }
  | { kind: 'invalid'; problem: string };

/** Entries of `status.mirrorServices`: some 200 bytes each, and an object may have 1.5 MB. */
const MAX_STATUS_SERVICES = 2000;

/** One link in the main thread: its worker, its gateway's monitor, its status. */
export class LinkSupervisor {
  readonly #context: LinkContext;
  readonly #link: Link;
  readonly #metrics: LinkMetrics;
  readonly #status: StatusWriter;
  readonly #mirrors = new Map<string, MirrorStatus>();
  /** Keys that the present worker has not told yet. */
  #unconfirmed = new Set<string>();
  #generation: number | undefined;
  #plan: LinkPlan | undefined;
  #gateway: GatewayMonitor | undefined;
  #worker: WorkerHost | undefined;
  #report: LinkReport | undefined;
  #crash: string | undefined;
  #heardAt: number | undefined;

  constructor(context: LinkContext, link: Link) {
    const { namespace = '', name = '' } = link.metadata ?? {};
    this.#context = context;
    this.#link = link;
    this.#metrics = context.metrics(name);
    this.#metrics.staleness(() => this.#stalenessSeconds());
    this.#status = new StatusWriter({
      client: context.client,
      namespace,
      name,
      present: link.status,
      desired: () => this.#desiredStatus(),
      clock: context.clock,
      logger: context.logger,
      minIntervalMs: context.statusIntervalMs,
    });
    for (const { namespace: ns, remoteName, localName = '', mirrored, reason, message = '' } of link.status
      ?.mirrorServices ?? []) {
      const problem = mirrored ? undefined : { reason: (reason ?? 'Error') as 'Error', message };
      this.#mirrors.set(`${ns}/${remoteName}`, { namespace: ns, remoteName, localName, problem });
    }
  }

  /** Brings what runs in line with the Link and its Secret. Mirrors live on through every restart. */
  async update(plan: LinkPlan, generation: number | undefined): Promise<void> {
    this.#generation = generation;
    if (!isDeepStrictEqual(plan, this.#plan)) {
      const before = this.#plan;
      this.#plan = plan;
      await this.#replan(before, plan);
    }
    this.#status.touch();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#worker?.stop(), this.#gateway?.stop(), this.#status.stop()]);
    this.#metrics.remove();
  }

  async #replan(before: LinkPlan | undefined, plan: LinkPlan): Promise<void> {
    await this.#worker?.stop();
    this.#worker = undefined;
    this.#report = undefined;
    this.#crash = undefined;
    if (plan.kind === 'invalid') {
      await this.#gateway?.stop();
      this.#gateway = undefined;
      return;
    }
    const { settings } = plan;
    const old = before === undefined || before.kind === 'invalid' ? undefined : before.settings;
    const sameGateway = isDeepStrictEqual(old?.gateway, settings.gateway);
    // How often a gateway is asked says nothing about the trust in it.
    const trust = sameGateway ? this.#gateway?.trust : undefined;
    const sameProbe = isDeepStrictEqual(old?.probe, settings.probe);
    if (!sameGateway || !sameProbe || this.#gateway === undefined) await this.#monitor(settings, trust);
    if (plan.kind === 'run') this.#work(settings, plan.remote);
  }

  async #monitor(settings: LinkSettings, trust: Trust | undefined): Promise<void> {
    const lastKnown = this.#gateway?.view ?? this.#link.status?.gateway ?? {};
    await this.#gateway?.stop();
    const { probe, resolve, clock, random } = this.#context;
    this.#gateway = new GatewayMonitor({
      settings,
      lastKnown,
      trust,
      probe,
      resolve,
      clock,
      random,
      onChange: (gateway) => {
        this.#metrics.alive(gateway.alive);
        this.#worker?.send({ kind: 'gateway', gateway });
        this.#status.touch();
      },
      onProbe: (result) => {
        this.#metrics.probed(result);
        this.#status.touch();
      },
    });
    this.#gateway.start();
  }

  #work(settings: LinkSettings, remote: PlainConfig): void {
    const { local, ownClusterId, logLevel, clock, random, logger, backoff, workerHeapMiB } = this.#context;
    const { name = '', namespace = '', uid = '' } = this.#link.metadata ?? {};
    const noGateway = { addresses: [], port: 0, alive: undefined };
    const optional = backoff === undefined ? {} : { backoff };
    this.#worker = new WorkerHost({
      data: () => ({
        settings,
        ownClusterId,
        local,
        remote,
        link: { name, namespace, uid },
        gateway: this.#gateway?.view ?? noGateway,
        logLevel,
        ...optional,
      }),
      heapMiB: workerHeapMiB,
      onReport: (report) => this.#take(report),
      onCrash: (why) => {
        this.#crash = why;
        this.#unconfirmed = new Set(this.#mirrors.keys());
        this.#metrics.crashed();
        this.#status.touch();
      },
      clock,
      random,
      logger,
      ...optional,
    });
    this.#unconfirmed = new Set(this.#mirrors.keys());
    this.#worker.start();
  }

  #take(report: LinkReport): void {
    this.#crash = undefined;
    this.#report = report;
    this.#heardAt = this.#context.clock.now() - report.stalenessMs;
    for (const [key, status] of report.mirrors) {
      this.#unconfirmed.delete(key);
      if (status === null) this.#mirrors.delete(key);
      else this.#mirrors.set(key, status);
    }
    if (report.synced) this.#dropUnconfirmed();
    this.#metrics.repaired(report.repairs);
    this.#metrics.mirrors(...this.#counts());
    this.#gateway?.setService(report.gatewayService);
    this.#status.touch();
  }

  /** A worker that has just started tells only what is: what it did not tell has gone in the meantime. */
  #dropUnconfirmed(): void {
    for (const key of this.#unconfirmed) this.#mirrors.delete(key);
    this.#unconfirmed.clear();
  }

  #counts(): [mirrored: number, unmirrored: number] {
    const unmirrored = [...this.#mirrors.values()].filter((m) => m.problem !== undefined).length;
    return [this.#mirrors.size - unmirrored, unmirrored];
  }

  #stalenessSeconds(): number | undefined {
    if (this.#heardAt === undefined) return undefined;
    if (this.#crash === undefined && this.#report?.stalenessMs === 0) return 0;
    return (this.#context.clock.now() - this.#heardAt) / 1000;
  }

  #desiredStatus(): DesiredStatus {
    const { clock } = this.#context;
    const probe = this.#gateway?.last;
    const heardAt = this.#heardAt;
    const age = this.#stalenessSeconds();
    return {
      conditions: linkConditions(this.#view(), this.#generation),
      gateway: this.#gateway?.view,
      mirrorServices: statusEntries(this.#mirrors.values()),
      latencyMs: probe?.kind === 'alive' ? Math.round(probe.latencyMs * 10) / 10 : undefined,
      lastSyncTime:
        heardAt === undefined || age === undefined || !Number.isFinite(age)
          ? undefined
          : new Date(Math.floor((clock.wallNow() - age * 1000) / 1000) * 1000).toISOString(),
    };
  }

  #view(): LinkView {
    const plan = this.#plan;
    const [mirrored, unmirrored] = this.#counts();
    return {
      problem: plan?.kind === 'invalid' ? plan.problem : undefined,
      credentials:
        plan?.kind === 'no-credentials'
          ? { kind: 'refused', reason: plan.reason, message: plan.message }
          : { kind: 'taken' },
      crash: this.#crash,
      report: this.#report,
      gateway: this.#gateway?.view,
      probe: this.#gateway?.last,
      trust: this.#gateway?.trust,
      mirrored,
      unmirrored,
    };
  }
}

/** Those without a mirror first: they are what people look for when the list is cut. */
function statusEntries(mirrors: Iterable<MirrorStatus>): DesiredStatus['mirrorServices'] {
  const entries = [...mirrors].map(({ namespace, remoteName, localName, problem }) =>
    problem === undefined
      ? { namespace, remoteName, localName, mirrored: true }
      : {
          namespace,
          remoteName,
          localName,
          mirrored: false,
          reason: problem.reason,
          message: problem.message,
        },
  );
  const rank = (e: (typeof entries)[number]): string => `${e.mirrored ? 1 : 0}${e.namespace}/${e.remoteName}`;
  return entries.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, MAX_STATUS_SERVICES);
}
