import { setImmediate as nextTurn } from 'node:timers/promises';
import { alpn, component, dnsIdentity, spiffeId } from '../api/names.ts';
import type { LowestLevel } from '../log/index.ts';
import {
  createChannel,
  createResolver,
  createWorkloadIdentity,
  systemClock,
  type Channel,
  type Clock,
  type ExpectedPeer,
  type Http2Connect,
  type Logger,
  type Resolve,
  type WorkloadIdentity,
} from '../workload-identity/index.ts';
import type { MeshConfig } from './config.ts';
import { http2Connect } from './control/http2-session.ts';
import { ConnectionTracker } from './telemetry/connections.ts';
import { ControlMetrics } from './telemetry/control-metrics.ts';
import { DetectMetrics } from './telemetry/detect-metrics.ts';
import { HttpMetrics } from './telemetry/http-metrics.ts';
import { registerIdentityMetrics, registerProcessMetrics } from './telemetry/process-metrics.ts';
import { Registry, type Counter, type Family, type Gauge } from './telemetry/registry.ts';
import { RouteMetrics } from './telemetry/route-metrics.ts';
import { TcpMetrics } from './telemetry/tcp-metrics.ts';
import { TRIM_EVERY_MS, trimBuffers } from './transport/buffers.ts';
import { chooseTransport, type ChosenTransport } from './transport/choose.ts';
import { wrapStream } from './transport/stream-transport.ts';
import { Timer, TimerWheel } from './transport/timers.ts';
import type { Wrap } from './transport/transport.ts';
import { callbackClock } from './transport/turn.ts';

/** ms between sweeps for idle metrics. */
const SWEEP_MS = 60_000;
/** ms a tick of the wheel that requests' own times are kept in: they are told in tens of ms. */
const DEADLINE_TICK_MS = 10;
/**
 * ms from the first certificate to the connections to the control plane. They are made ahead of the first request, which
 * would wait for two handshakes and four round trips, but behind the answer to whoever asks whether the process is ready.
 */
export const CONNECT_AFTER_MS = 50;

/** What a proxy and a gateway are made of below their layers. */
export interface Runtime {
  readonly config: MeshConfig;
  readonly log: Logger;
  readonly identity: WorkloadIdentity;
  readonly wrap: Wrap;
  readonly timers: TimerWheel;
  /** For times of requests: back-offs, timeouts. Its ticks are short, and it rests when nothing is armed. */
  readonly deadlines: TimerWheel;
  readonly clock: Clock;
  readonly resolve: Resolve;
  readonly random: () => number;
  /** Protocols between proxies, by preference: offered to peers, and taken from them. */
  readonly alpn: readonly string[];
  /** ms, monotonic. */
  readonly now: () => number;
  readonly registry: Registry;
  readonly http: HttpMetrics;
  readonly tcp: TcpMetrics;
  readonly detections: DetectMetrics;
  readonly tracker: ConnectionTracker;
  /** Endpoints of targets, by whether they can be asked. */
  readonly endpoints: Family<Gauge>;
  readonly refused: Family<Counter>;
  /** Retries and ejections. */
  readonly routes: RouteMetrics;
  /** Streams to the control plane. */
  readonly control: ControlMetrics;
  readonly destination: Channel;
  readonly policy: Channel;
  /** Sent to the control plane: where we are. */
  readonly contextToken: string;
  /** Ends everything that the runtime started. */
  close(): void;
}

/** What a process hands to its runtime, and what tests put in place of its parts. */
export interface RuntimeOptions {
  log: Logger;
  /** Default: certified by the identity service of the configuration. */
  identity?: WorkloadIdentity;
  resolve?: Resolve;
  /** Default: gRPC over mutual TLS, by the data plane's HTTP/2. */
  channel?: (address: string) => Channel;
  /** Default: ours, then Linkerd's. */
  alpn?: readonly string[];
  /** Default: the fastest that passes its self-test. */
  transport?: 'fastest' | 'streams';
  /** Ends the process as SIGTERM does. */
  shutDown?: () => void;
  /** The lowest level of `log`; absent: nobody may change it. */
  logLevel?: LowestLevel;
}

/** As long as the wheel turns. */
function repeat(timers: TimerWheel, everyMs: number, act: () => void): void {
  const timer = new Timer(() => {
    act();
    timers.arm(timer, everyMs);
  });
  timers.arm(timer, everyMs);
}

/** Starts what all layers stand on. Never waits for the control plane. */
export async function createRuntime(config: MeshConfig, options: RuntimeOptions): Promise<Runtime> {
  const { log } = options;
  const resolve = options.resolve ?? createResolver();
  const timers = new TimerWheel();
  timers.start();
  const certifying = await startCertifying(config, options, timers);
  const { identity, wrap } = certifying;
  const deadlines = new TimerWheel(undefined, DEADLINE_TICK_MS);
  deadlines.startResting();
  const metrics = createMetrics(identity, callbackClock);
  const { destination, policy } = createControlPlaneChannels(config, options, certifying, resolve, timers);
  repeat(timers, SWEEP_MS, () => metrics.registry.sweep(timers.now()));
  repeat(timers, TRIM_EVERY_MS, trimBuffers);
  return {
    config,
    log,
    identity,
    wrap,
    timers,
    deadlines,
    clock: systemClock,
    resolve,
    random: Math.random,
    alpn: options.alpn ?? [alpn.isthmus, alpn.linkerd],
    now: callbackClock,
    ...metrics,
    destination,
    policy,
    contextToken: JSON.stringify({
      ns: config.pod.namespace,
      pod: config.pod.name,
      nodeName: config.pod.node,
    }),
    close() {
      destination.close();
      policy.close();
      if (options.identity === undefined) identity.stop();
      timers.stop();
      deadlines.stop();
    },
  };
}

/** An identity that is there or on its way, and what it came by. */
interface Certifying {
  readonly identity: WorkloadIdentity;
  readonly connect: Http2Connect;
  readonly wrap: Wrap;
}

/**
 * Begins the way to the first certificate, the longest of the start, and chooses the transport meanwhile. Where the
 * identity is given, TLS has been tried when this resolves: who has one, as a warm-up does, may send at once.
 */
async function startCertifying(
  config: MeshConfig,
  options: RuntimeOptions,
  timers: TimerWheel,
): Promise<Certifying> {
  const { log } = options;
  // Nothing is chosen yet, and streams always work.
  let wrap = wrapStream;
  const connect = http2Connect((socket) => wrap(socket), timers);
  const identity = options.identity ?? ownIdentity(config, log, connect);
  // Dialled, it waits for the network: there is time for the rest.
  await nextTurn();
  const chosen = await chooseTransport(options.transport);
  wrap = chosen.wrap;
  tellTransport(chosen, log);
  const triedTls = tryTls(chosen, identity, log);
  if (options.identity?.state.kind === 'certified') await triedTls;
  return { identity, connect, wrap };
}

function tellTransport(chosen: ChosenTransport, log: Logger): void {
  const line = { transport: chosen.kind, reason: chosen.reason };
  if (chosen.kind === 'handle') log.info(line, 'transport chosen');
  else log.warn(line, 'this process uses public streams: it works, and takes more CPU');
}

/** Not before there is an identity, hence TLS: the start is waited for. Never rejects. */
async function tryTls(chosen: ChosenTransport, identity: WorkloadIdentity, log: Logger): Promise<void> {
  await identity.ready;
  const failure = await chosen.tryTls();
  if (failure === undefined) return;
  const reason = `the self-test of socket handles on TLS failed: ${failure}`;
  log.warn({ transport: 'stream', reason }, 'TLS of this process uses public streams: it takes more CPU');
}

function ownIdentity(config: MeshConfig, logger: Logger, connect: Http2Connect): WorkloadIdentity {
  if (config.identity === undefined) throw new Error('neither an identity nor a way to get one is given');
  return createWorkloadIdentity({ ...config.identity, connect, logger });
}

/** All that is counted in a process of the data plane. */
type Metrics = Pick<
  Runtime,
  'registry' | 'http' | 'tcp' | 'detections' | 'tracker' | 'endpoints' | 'refused' | 'routes' | 'control'
>;

function createMetrics(identity: WorkloadIdentity, now: () => number): Metrics {
  const registry = new Registry();
  registerProcessMetrics(registry);
  registerIdentityMetrics(registry, () => identity.metrics());
  return {
    registry,
    http: new HttpMetrics(registry),
    tcp: new TcpMetrics(registry),
    detections: new DetectMetrics(registry),
    tracker: new ConnectionTracker(registry, now),
    endpoints: registry.gauge(
      'outbound_http_balancer_endpoints',
      'Endpoints of a target, by whether they can be asked now',
    ),
    refused: registry.counter(
      'inbound_connections_refused_total',
      'Connections closed before a request, by reason',
    ),
    routes: new RouteMetrics(registry),
    control: new ControlMetrics(registry, now),
  };
}

/** The channels to the control plane. They connect soon after the first certificate, without waiting for a call. */
function createControlPlaneChannels(
  config: MeshConfig,
  options: RuntimeOptions,
  { identity, connect }: Certifying,
  resolve: Resolve,
  timers: TimerWheel,
): Pick<Runtime, 'destination' | 'policy'> {
  const grpc = (address: string): Channel =>
    createChannel({
      address,
      resolve,
      tls: () => identity.clientOptions({ alpn: ['h2'], expect: controlPlane(config) }),
      localAddress: config.pod.ip,
      connect,
      logger: options.log,
    });
  const channel = options.channel ?? grpc;
  const destination = channel(config.destinationAddress);
  const policy = channel(config.policyAddress);
  const connecting = new Timer(() => {
    destination.connect();
    policy.connect();
  });
  void identity.ready.then(() => timers.arm(connecting, CONNECT_AFTER_MS));
  return { destination, policy };
}

/** Who answers at the control plane's ports. */
function controlPlane(config: MeshConfig): ExpectedPeer {
  const { workload } = config;
  const names = { ...workload, serviceAccount: component.controlPlane, namespace: workload.meshNamespace };
  return { dnsName: dnsIdentity(names), spiffeId: spiffeId(names) };
}
