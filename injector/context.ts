import type { Quantities } from './proxy-config.ts';

/** How apps reach their sidecar: `explicit`, told by environment; `redirect`, their connections are turned to it. */
export type ProxyMode = 'explicit' | 'redirect';

/** What sidecars tell of single requests, as text of their environment; absent: nothing. */
export interface SidecarTelemetry {
  /** `json`, `apache` or `none`. */
  accessLog?: string;
  /** `host:port` of a collector's OTLP/HTTP receiver. */
  traceCollector?: string;
  /** `namespace/serviceaccount` that it has to prove by mutual TLS. */
  traceCollectorIdentity?: string;
  /** Share of the requests without trace context that begin a trace. */
  traceSampling?: string;
}

/** What an injection needs to know beside the pod and its namespace: the install's values. */
export interface InjectionContext {
  clusterName: string;
  clusterDomain: string;
  trustDomain: string;
  meshNamespace: string;
  /** Image of the sidecar. */
  image: string;
  imagePullPolicy: string;
  proxyMode: ProxyMode;
  defaultInboundPolicy: string;
  opaquePorts: readonly number[];
  /** CIDRs that the `cluster-*` policies mean. */
  clusterNetworks: readonly string[];
  logLevel: string;
  /** Where no annotation says otherwise. */
  telemetry: SidecarTelemetry;
  /** Resources of the sidecar where no annotation says otherwise. */
  resources: Quantities;
  /** A Linkerd control plane runs here and its annotations are not ours to follow. */
  ignoreLinkerdAnnotation: boolean;
}
