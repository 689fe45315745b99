import type { Quantities } from './proxy-config.ts';

/** How apps reach their sidecar: `explicit`, told by environment; `redirect`, their connections are turned to it. */
export type ProxyMode = 'explicit' | 'redirect';

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
  /** Resources of the sidecar where no annotation says otherwise. */
  resources: Quantities;
  /** A Linkerd control plane runs here and its annotations are not ours to follow. */
  ignoreLinkerdAnnotation: boolean;
}
