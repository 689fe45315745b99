/**
 * Linkerd's policy kinds and ServiceProfile, as plain JSON. Others write these objects, and their schemas may be looser
 * than ours: every field may be absent, and a text that has only some meanings is a plain string here. Who reads them
 * says what is wrong with them.
 */
import type { KubernetesObject, LabelSelector } from './kubernetes-types.ts';

export const POLICY_GROUP = 'policy.linkerd.io';

/** An object that another one names. Without a namespace it is in that one's own. */
export interface ObjectRef {
  group?: string;
  kind?: string;
  name?: string;
  namespace?: string;
}

export interface PolicyServer extends KubernetesObject {
  spec?: {
    podSelector?: LabelSelector;
    /** For workloads outside of the cluster; such a Server is for no pod. */
    externalWorkloadSelector?: LabelSelector;
    port?: number | string;
    proxyProtocol?: string;
    accessPolicy?: string;
  };
}

export interface NetworkSpec {
  cidr?: string;
  except?: string[];
}

export interface ServerAuthorization extends KubernetesObject {
  spec?: {
    server?: { name?: string; selector?: LabelSelector };
    client?: {
      networks?: NetworkSpec[];
      unauthenticated?: boolean;
      meshTLS?: {
        unauthenticatedTLS?: boolean;
        identities?: string[];
        serviceAccounts?: { name?: string; namespace?: string }[];
      };
    };
  };
}

export interface AuthorizationPolicy extends KubernetesObject {
  spec?: { targetRef?: ObjectRef; requiredAuthenticationRefs?: ObjectRef[] };
}

export interface MeshTlsAuthentication extends KubernetesObject {
  spec?: { identities?: string[]; identityRefs?: ObjectRef[] };
}

export interface NetworkAuthentication extends KubernetesObject {
  spec?: { networks?: NetworkSpec[] };
}

export interface HttpLocalRateLimitPolicy extends KubernetesObject {
  spec?: {
    targetRef?: ObjectRef;
    total?: { requestsPerSecond?: number };
    identity?: { requestsPerSecond?: number };
    overrides?: { requestsPerSecond?: number; clientRefs?: ObjectRef[] }[];
  };
}

/** One test of a request; `all`, `any` and `not` put others together. */
export interface RequestCondition {
  pathRegex?: string;
  method?: string;
  all?: RequestCondition[];
  any?: RequestCondition[];
  not?: RequestCondition;
}

export interface ResponseCondition {
  status?: { min?: number; max?: number };
  all?: ResponseCondition[];
  any?: ResponseCondition[];
  not?: ResponseCondition;
}

/** Its name is the full name of the service that it is for. */
export interface ServiceProfile extends KubernetesObject {
  spec?: {
    routes?: {
      name?: string;
      condition?: RequestCondition;
      responseClasses?: { condition?: ResponseCondition; isFailure?: boolean }[];
      isRetryable?: boolean;
      timeout?: string;
    }[];
    retryBudget?: { retryRatio?: number; minRetriesPerSecond?: number; ttl?: string };
    dstOverrides?: { authority?: string; weight?: number | string }[];
    opaquePorts?: string[];
  };
}
