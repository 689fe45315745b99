/**
 * Timing of the kubelet's probes of every part. A restart heals a process that hangs, but makes a node that is short of
 * CPU slower still: a minute without answer counts, not three slow answers. Seconds.
 */
export const LIVENESS = { periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6 } as const;

/** Seconds until one readiness probe counts as failed: above the pauses of a process on a busy node. */
export const READINESS_TIMEOUT_SECONDS = 3;
