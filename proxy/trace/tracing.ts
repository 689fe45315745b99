import { dnsIdentity, spiffeId, VERSION } from '../../api/names.ts';
import type { ExpectedPeer, WorkloadNames } from '../../workload-identity/index.ts';
import type { MeshConfig } from '../config.ts';
import type { Runtime } from '../runtime.ts';
import { textAttribute } from './attributes.ts';
import { Exporter } from './exporter.ts';
import { delimited } from '../../api/proto/wire-format.ts';
import { RandomIds } from './random-ids.ts';
import { SpanQueue } from './span-queue.ts';
import { Tracer } from './tracer.ts';

/** Where spans go, and how many. */
export interface TraceConfig {
  /** `host:port` of a collector's OTLP/HTTP receiver. */
  readonly collector: string;
  /** Who has to answer there, by mutual TLS; undefined: plaintext. */
  readonly identity: { readonly namespace: string; readonly serviceAccount: string } | undefined;
  /** Share of the requests without context that begin a trace. */
  readonly sampling: number;
  /** `service.name` of the spans. */
  readonly serviceName: string;
  /** ms that a span waits for others; absent: two seconds. */
  readonly sendAfterMs?: number;
}

/** ms that the end of the process waits for a collector. */
const CLOSE_MS = 2_000;

/** Of `Resource`, and of `InstrumentationScope`. */
const RESOURCE_ATTRIBUTES = 1;
const SCOPE_NAME = 1;
const SCOPE_VERSION = 2;

/** A tracer with its way to the collector. */
export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what there is, as far as that can be done in two seconds. */
  close(): Promise<void>;
}

export function startTracing(config: TraceConfig, runtime: Runtime): Tracing {
  const { registry, timers, random } = runtime;
  // Linkerd's names, where it has them.
  const counter = (name: string, help: string) => registry.counter(`opentelemetry_span_${name}`, help).cell();
  const dropped = registry.counter(
    'opentelemetry_span_drops_total',
    'Spans that were dropped, by reason: no room, or a collector that did not take them',
  );
  const exporter = new Exporter({
    ...runtime,
    collector: config.collector,
    expect: expectedCollector(config, runtime.config.workload),
    localAddress: runtime.config.pod.ip,
    resource: resource(config, runtime.config),
    scope: Buffer.concat([
      delimited(SCOPE_NAME, Buffer.from('isthmus-proxy')),
      delimited(SCOPE_VERSION, Buffer.from(VERSION)),
    ]),
    metrics: {
      requests: counter('export_requests', 'Requests to the collector'),
      spans: counter('exports', 'Spans that the collector took'),
      failures: counter('export_failures_total', 'Requests to the collector that failed'),
      dropped: dropped.cell({ reason: 'not-taken' }),
    },
  });
  const queue = new SpanQueue({
    timers,
    send: (batch) => exporter.send(batch),
    dropped: dropped.cell({ reason: 'no-room' }),
    sendAfterMs: config.sendAfterMs,
  });
  return {
    tracer: new Tracer({ sampling: config.sampling, ids: new RandomIds(), random, queue }),
    async close() {
      await queue.close(CLOSE_MS);
      exporter.close();
    },
  };
}

/** A workload of the own cluster. */
function expectedCollector({ identity }: TraceConfig, own: WorkloadNames): ExpectedPeer | undefined {
  if (identity === undefined) return undefined;
  const names = { ...own, ...identity };
  return { dnsName: dnsIdentity(names), spiffeId: spiffeId(names) };
}

/** What all spans of this process have in common, by the names of the semantic conventions. */
function resource({ serviceName }: TraceConfig, { pod, workload }: MeshConfig): Buffer {
  const attributes: Readonly<Record<string, string>> = {
    'service.name': serviceName,
    'service.namespace': pod.namespace,
    'service.instance.id': pod.name,
    'k8s.cluster.name': workload.clusterId,
    'k8s.namespace.name': pod.namespace,
    'k8s.pod.name': pod.name,
    'k8s.pod.ip': pod.ip,
    'k8s.node.name': pod.node,
  };
  return Buffer.concat(
    Object.entries(attributes)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => textAttribute(RESOURCE_ATTRIBUTES, name, value)),
  );
}
