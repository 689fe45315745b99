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
import { Admission, FREE, type Place } from './admission.ts';
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
import { listen, type Listener, type ListenOptions } from './transport/listen.ts';
import { wrapStream } from './transport/stream-transport.ts';
import type { Connection } from './transport/tcp-connection.ts';
import { Timer, TimerWheel } from './transport/timers.ts';
import type { Wrap } from './transport/transport.ts';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** ms between sweeps for idle metrics. */
const SWEEP_MS = 60_000;
/** ms a tick of the wheel that requests' own times are kept in: they are told in tens of ms. */
const DEADLINE_TICK_MS = 10;
/**
 * ms from the first certificate to the connections to the control plane. The first request, which needs them, is to find them: it would wait for two handshakes and four round trips. Whoever asks
 * whether the process is ready is answered before.
 */
export const CONNECT_AFTER_MS = 50;
/** ms between looks at what a drain still waits for. */
const DRAIN_LOOK_MS = 20;
/** Turns of the event loop in which closes are told: handles' behind the one that they were closed in, sockets' one later. */
const CLOSING_TURNS = 3;

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
  // The way to the first certificate is the longest of the start: it begins at once, by streams, and the choice is made meanwhile.
  let wrap = wrapStream;
  const connect = http2Connect((socket) => wrap(socket), timers);
  const identity = options.identity ?? ownIdentity(config, log, connect);
  // Dialled, it waits for the network: there is time for the rest.
  await nextTurn();
  const chosen = await chooseTransport(options.transport);
  wrap = chosen.wrap;
  const line = { transport: chosen.kind, reason: chosen.reason };
  if (chosen.kind === 'handle') log.info(line, 'transport chosen');
  else log.warn(line, 'this process uses public streams: it works, and takes more CPU');
  const triedTls = tryTls(chosen, identity, log);
  // Who comes with an identity, as a warm-up does, may send at once.
  if (options.identity?.state.kind === 'certified') await triedTls;
  const deadlines = new TimerWheel(undefined, DEADLINE_TICK_MS);
  deadlines.startResting();
  const now = (): number => timers.now();
  const registry = new Registry();
  registerProcessMetrics(registry);
  registerIdentityMetrics(registry, () => identity.metrics());
  const grpc = (address: string): Channel =>
    createChannel({
      address,
      resolve,
      tls: () => identity.clientOptions({ alpn: ['h2'], expect: controlPlane(config) }),
      localAddress: config.pod.ip,
      connect,
      logger: log,
    });
  const channel = options.channel ?? grpc;
  const destination = channel(config.destinationAddress);
  const policy = channel(config.policyAddress);
  const connecting = new Timer(() => {
    destination.connect();
    policy.connect();
  });
  void identity.ready.then(() => timers.arm(connecting, CONNECT_AFTER_MS));
  repeat(timers, SWEEP_MS, () => registry.sweep(now()));
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
    now,
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

/** Who answers at the control plane's ports. */
function controlPlane(config: MeshConfig): ExpectedPeer {
  const { workload } = config;
  const names = { ...workload, serviceAccount: component.controlPlane, namespace: workload.meshNamespace };
  return { dnsName: dnsIdentity(names), spiffeId: spiffeId(names) };
}

/** By what means a listener accepts, and how many connections it holds; what comes beyond is closed, and counted. */
export interface Listening extends Required<Pick<ListenOptions, 'maxConnections' | 'onDropped' | 'tcp'>> {
  /** Absent: what comes is taken, as long as the process can. */
  admission?: Admission;
}

export function listening({ config, refused, wrap, log, now }: Runtime): Listening {
  const { maxConnections } = config.limits;
  const admission = new Admission({ maxConnections, refused, log, now });
  return { maxConnections, onDropped: admission.dropped, tcp: wrap.tcp, admission };
}

/** Binds a port of the pod. Rejects with an error that names the address. */
export function listenOn(
  host: string,
  port: number,
  onConnection: (connection: Connection, place: Place) => void,
  { admission, ...by }: Listening,
): Promise<Listener> {
  const take: ListenOptions['onConnection'] = (connection, open) => {
    const place = admission === undefined ? FREE : admission.admit(connection, open);
    if (place !== undefined) onConnection(connection, place);
  };
  return new Promise((resolve, reject) => {
    listen({ host, port, onConnection: take, ...by }, (error, listener) => {
      if (listener === undefined) reject(error ?? new Error(`${host}:${port} cannot be bound`));
      else resolve(listener);
    });
  });
}

/** Waits until nothing is under way, at most `graceMs`. @returns whether all ended in time */
export function untilIdle(timers: TimerWheel, busy: () => boolean, graceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const end = timers.now() + graceMs;
    const timer = new Timer(() => look());
    const look = (): void => {
      if (!busy()) resolve(true);
      else if (timers.now() >= end) resolve(false);
      else timers.arm(timer, DRAIN_LOOK_MS);
    };
    look();
  });
}

/**
 * Closes what is left of a drain, when connections to apps and peers have been destroyed. These tell of their close some turns later, sockets of the runtime's last: clients whose answers break off by it
 * see that, where an end in the same turn would pass for that of a whole answer.
 */
export async function cutRest({ tracker }: Runtime): Promise<void> {
  for (let turn = 0; turn < CLOSING_TURNS; turn++) await nextTurn();
  tracker.destroyAll();
}
