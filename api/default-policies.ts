/**
 * What a sidecar lets in where no policy says otherwise: Linkerd's five by their names, and its `audit`: everybody
 * passes, and metrics tell that no rule was there for it.
 */
export const DEFAULT_INBOUND_POLICIES = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
] as const;

/** Who may ask a port of which no Server says anything. */
export type DefaultInboundPolicy = (typeof DEFAULT_INBOUND_POLICIES)[number];

/** True for the name of a default policy. */
export function isDefaultInboundPolicy(text: string): text is DefaultInboundPolicy {
  return DEFAULT_INBOUND_POLICIES.some((name) => name === text);
}
