/** discovery.k8s.io/v1. */
import type { ObjectReference } from './core.ts';
import type { KubernetesObject } from './meta.ts';

export interface SliceEndpoint {
  addresses: string[];
  conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
  hostname?: string;
  nodeName?: string;
  zone?: string;
  /** Whom the cluster would have it serve. */
  hints?: { forZones?: { name: string }[] | null; forNodes?: { name: string }[] | null };
  targetRef?: ObjectReference;
}

export interface EndpointSlice extends KubernetesObject {
  addressType: 'IPv4' | 'IPv6' | 'FQDN';
  /** A slice without endpoints (or ports) reads `null` from a real API server. */
  endpoints: SliceEndpoint[] | null;
  ports?: { name?: string; protocol?: string; port?: number; appProtocol?: string }[] | null;
}
