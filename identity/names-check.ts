/** A DNS name of labels, as cluster ids (KEP-2149) and trust domains (SPIFFE-ID.md 2.1, its DNS-like part) are. */
const DNS_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const MAX_CLUSTER_ID = 63;
const MAX_TRUST_DOMAIN = 253;

/** Throws when a trust domain cannot stand in certificates. */
export function checkTrustDomain(trustDomain: string): void {
  if (trustDomain.length > MAX_TRUST_DOMAIN || !DNS_NAME.test(trustDomain)) {
    throw new Error(
      `"${trustDomain}" is not a trust domain: use a DNS name in lower case such as cluster.local, at most ${MAX_TRUST_DOMAIN} characters`,
    );
  }
}

/** Throws when a cluster id cannot stand in certificates and names of Services. */
export function checkClusterId(clusterId: string): void {
  if (clusterId.length > MAX_CLUSTER_ID || !DNS_NAME.test(clusterId)) {
    throw new Error(
      `"${clusterId}" is not a cluster id: use lower-case letters, digits and dashes, at most ${MAX_CLUSTER_ID} characters`,
    );
  }
}
