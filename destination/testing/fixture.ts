import type { EndpointSlice, Namespace, Pod, Service, ServicePort } from '../../api/kubernetes-types.ts';
import { annotation, component, DEFAULT_OPAQUE_PORTS, label } from '../../api/names.ts';
import type { Clock, GrpcError } from '../../workload-identity/index.ts';
import type { ServerStream } from '../server-stream.ts';
import { DEFAULT_CLUSTER_NETWORKS } from '../../api/cluster-networks.ts';
import type { DestinationSettings } from '../settings.ts';
import type { StreamDeps } from '../stream-view.ts';
import { Views } from '../views.ts';

export const settings: DestinationSettings = {
  clusterName: 'east',
  clusterDomain: 'cluster.local',
  trustDomain: 'cluster.local',
  meshNamespace: 'isthmus',
  defaultInboundPolicy: 'all-unauthenticated',
  opaquePorts: DEFAULT_OPAQUE_PORTS,
  clusterNetworks: DEFAULT_CLUSTER_NETWORKS,
};

/** Views whose pending work runs when the test says so, and a clock that the test moves. */
export function testDeps(): StreamDeps & { flush: () => void; advance: (ms: number) => void } {
  const runs: (() => void)[] = [];
  const clock = testClock();
  return {
    views: new Views((run) => runs.push(run)),
    clock,
    metrics: { opened: () => {}, closed: () => {}, sent: () => {}, stalled: () => {} },
    flush: () => {
      for (const run of runs.splice(0)) run();
    },
    advance: clock.advance,
  };
}

function testClock(): Clock & { advance: (ms: number) => void } {
  let now = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  return {
    now: () => now,
    monotonic: () => now,
    after: (ms, run) => {
      const timer = { at: now + ms, run };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    advance: (ms) => {
      now += ms;
      for (const timer of [...timers].filter(({ at }) => at <= now)) {
        timers.delete(timer);
        timer.run();
      }
    },
  };
}

/** A call whose client reads as the test says. */
export class TestStream<M> implements ServerStream<M> {
  readonly messages: M[] = [];
  /** Status codes that the call was ended with: none or one. */
  readonly codes: number[] = [];
  /** False: the client does not read. */
  reading = true;
  readonly #closers: (() => void)[] = [];
  readonly #drains: (() => void)[] = [];

  write(message: M): boolean {
    this.messages.push(message);
    return this.reading;
  }

  onDrain(listener: () => void): void {
    this.#drains.push(listener);
  }

  onClose(listener: () => void): void {
    this.#closers.push(listener);
  }

  fail(error: GrpcError): void {
    this.codes.push(error.code);
    this.close();
  }

  /** The client leaves. */
  close(): void {
    for (const closer of this.#closers.splice(0)) closer();
  }

  /** The client reads again. */
  drain(): void {
    this.reading = true;
    for (const drain of this.#drains) drain();
  }

  /** The messages since the last call. */
  take(): M[] {
    return this.messages.splice(0);
  }
}

export function namespace(name: string, annotations: Record<string, string> = {}): Namespace {
  return { metadata: { name, annotations } };
}

export function service(
  name: string,
  ports: ServicePort[] = [{ name: 'http', port: 80, targetPort: 8080 }],
  more: Partial<NonNullable<Service['metadata']>> & { spec?: Service['spec'] } = {},
): Service {
  const { spec, ...meta } = more;
  return {
    metadata: { name, namespace: 'shop', ...meta },
    spec: { type: 'ClusterIP', clusterIP: '10.0.0.10', ports, ...spec },
  };
}

export function pod(
  name: string,
  ip: string,
  more: { meshed?: boolean; meta?: Pod['metadata']; spec?: Partial<NonNullable<Pod['spec']>> } = {},
): Pod {
  const { meshed = true, meta, spec } = more;
  return {
    metadata: {
      name,
      namespace: 'shop',
      ...meta,
      labels: { ...(meshed ? { [label.controlPlaneNs]: 'isthmus' } : {}), ...meta?.labels },
    },
    spec: {
      serviceAccountName: 'web',
      containers: [{ name: 'app', ports: [{ name: 'http', containerPort: 8080 }] }],
      ...(meshed ? { initContainers: [{ name: component.proxy }] } : {}),
      ...spec,
    },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  };
}

export function slice(
  of: string,
  endpoints: {
    ip: string;
    pod?: string;
    ready?: boolean;
    /** Being ended, and still answering. */
    leaving?: boolean;
    hostname?: string;
    node?: string;
    zone?: string;
    forZones?: readonly string[];
    forNodes?: readonly string[];
  }[],
  more: { name?: string; port?: number; portName?: string; addressType?: EndpointSlice['addressType'] } = {},
): EndpointSlice {
  const { name = `${of}-1`, port = 8080, portName = 'http', addressType = 'IPv4' } = more;
  return {
    metadata: { name, namespace: 'shop', labels: { [label.sliceServiceName]: of } },
    addressType,
    ports: [{ name: portName, port, protocol: 'TCP' }],
    endpoints: nullWhenEmpty(
      endpoints.map(
        ({ ip, pod: target, leaving = false, ready = !leaving, hostname, node, zone, ...hints }) => ({
          addresses: [ip],
          conditions: { ready, ...(leaving ? { serving: true, terminating: true } : {}) },
          ...(node === undefined ? {} : { nodeName: node }),
          ...(hostname === undefined ? {} : { hostname }),
          ...(zone === undefined ? {} : { zone }),
          ...hintsOf(hints),
          ...(target === undefined ? {} : { targetRef: { kind: 'Pod', name: target, namespace: 'shop' } }),
        }),
      ),
    ),
  };
}

function hintsOf(of: { forZones?: readonly string[]; forNodes?: readonly string[] }) {
  const { forZones, forNodes } = of;
  if (forZones === undefined && forNodes === undefined) return {};
  const names = (list: readonly string[] | undefined) => list?.map((name) => ({ name })) ?? null;
  return { hints: { forZones: names(forZones), forNodes: names(forNodes) } };
}

/** As a real API server gives the endpoints of a slice. */
function nullWhenEmpty<T>(list: T[]): T[] | null {
  return list.length === 0 ? null : list;
}

/** The slice that the mirror controller writes: the addresses of west's gateway. */
export function mirrorSlice(of: string, remote: string, ips: string[]): EndpointSlice {
  const base = slice(
    of,
    ips.map((ip) => ({ ip })),
    { port: 4143 },
  );
  return {
    ...base,
    metadata: {
      ...base.metadata,
      annotations: {
        [annotation.remoteFqName]: `${remote}.shop.svc.cluster.local`,
        [annotation.remoteGatewayIdentity]:
          'spiffe://cluster.local/cluster/west/ns/isthmus/sa/isthmus-gateway',
      },
    },
  };
}
