/**
 * HTTPRoute (of the Gateway API, and Linkerd's older copy of it) and GRPCRoute, as plain JSON. As in `policy-types.ts`,
 * any field may be absent and texts are not limited to their meanings.
 */
import type { Condition, KubernetesObject } from './kubernetes-types.ts';
import type { ObjectRef } from './policy-types.ts';

export const GATEWAY_GROUP = 'gateway.networking.k8s.io';

export interface ParentRef extends ObjectRef {
  port?: number;
  sectionName?: string;
}

/** The value of a field or of a parameter. */
export interface ValueMatch {
  type?: string;
  name?: string;
  value?: string;
}

export interface HttpMatch {
  path?: { type?: string; value?: string };
  method?: string;
  headers?: ValueMatch[];
  queryParams?: ValueMatch[];
}

export interface GrpcMatch {
  method?: { type?: string; service?: string; method?: string };
  headers?: ValueMatch[];
}

export interface HeaderModifier {
  set?: { name?: string; value?: string }[];
  add?: { name?: string; value?: string }[];
  remove?: string[];
}

export interface RouteFilter {
  type?: string;
  requestHeaderModifier?: HeaderModifier;
  responseHeaderModifier?: HeaderModifier;
  requestRedirect?: {
    scheme?: string;
    hostname?: string;
    path?: { type?: string; replaceFullPath?: string; replacePrefixMatch?: string };
    port?: number;
    statusCode?: number;
  };
}

export interface BackendRef extends ObjectRef {
  port?: number;
  /** Share of the requests among its rule's backends; 1 unless said otherwise. */
  weight?: number;
  filters?: RouteFilter[];
}

export interface RouteRule<M> {
  matches?: M[];
  filters?: RouteFilter[];
  backendRefs?: BackendRef[];
  timeouts?: { request?: string; backendRequest?: string };
}

export interface RouteParentStatus {
  parentRef: ParentRef;
  controllerName: string;
  conditions?: Condition[];
}

interface Route<M> extends KubernetesObject {
  spec?: { parentRefs?: ParentRef[]; hostnames?: string[]; rules?: RouteRule<M>[] };
  status?: { parents?: RouteParentStatus[] };
}

export type HttpRoute = Route<HttpMatch>;
export type GrpcRoute = Route<GrpcMatch>;
