import type { Condition, KubernetesObject } from './kubernetes-types.ts';

/** Types of Link conditions: everything a person would ask of a link. */
export type LinkConditionType =
  | 'CredentialsValid'
  | 'ApiReachable'
  | 'GatewayAlive'
  | 'TrustShared'
  | 'Synced';

/**
 * One linked cluster: lives in the mesh namespace of the source cluster, named by the target's cluster id.
 * Links in other namespaces do not count.
 */
export interface Link extends KubernetesObject {
  spec: {
    /** Cluster id of the target: suffix of its mirrors. */
    targetClusterName: string;
    /** DNS domain of the target, for fully qualified service names. */
    targetClusterDomain: string;
    /** Mesh namespace of the target. */
    targetClusterNamespace: string;
    /** Secret in the Link's namespace with key `kubeconfig`. */
    clusterCredentialsSecret: string;
    gateway: {
      /** The gateway's Service in the target; its load-balancer addresses are followed. */
      serviceName: string;
      serviceNamespace: string;
      /** Fixed addresses (IPs or host names); when given, the Service's are not looked at. */
      addresses?: string[];
      /** Default: the Service's port `mc-gateway`. */
      port?: number;
      /** SPIFFE ID that the gateway must show. */
      identity: string;
    };
    probe?: {
      path?: string;
      /** Seconds between probes. */
      periodSeconds?: number;
      /** Seconds until a probe counts as failed. */
      timeoutSeconds?: number;
      /** Consecutive failures until the gateway counts as dead. */
      failureThreshold?: number;
    };
    /** Which of the target's Services are mirrored; matches nothing when absent or empty (as in Linkerd since #11309). */
    selector?: {
      matchLabels?: Record<string, string>;
      matchExpressions?: {
        key: string;
        operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        values?: string[];
      }[];
    };
    /** Keys not copied to mirrors; `prefix/*` is allowed. */
    excludedAnnotations?: string[];
    excludedLabels?: string[];
  };
  status?: {
    conditions?: Condition[];
    /** Where the gateway was last reached at, also for a controller that starts while the target's API is away. */
    gateway?: { addresses?: string[]; port?: number; latencyMs?: number };
    mirrorServices?: {
      namespace: string;
      remoteName: string;
      localName?: string;
      mirrored: boolean;
      reason?: string;
      message?: string;
    }[];
    lastSyncTime?: string;
  };
}

/** The trust anchors of this cluster: one object, cluster-scoped, named `isthmus`. */
export interface TrustBundle extends KubernetesObject {
  spec: {
    /** PEM certificates, one each. */
    anchors: string[];
  };
  status?: {
    /** Sequence number under which the present anchors are streamed. */
    sequence?: number;
    /** One entry per control-plane replica, each under its own field owner. */
    acknowledgements?: {
      replica: string;
      sequence: number;
      /** Workloads connected to the replica that have acknowledged that sequence. */
      acknowledged: number;
      /** Workloads connected to the replica that have not. */
      pending: number;
    }[];
    conditions?: Condition[];
  };
}
