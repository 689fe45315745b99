/** Trust anchors, issuers, certificates for workloads, and trust bundles. */
import type { IdentityDeps, IdentityServices } from './services.ts';

export {
  anchorFile,
  type CertificateAndKey,
  createTrustAnchor,
  readTrustAnchor,
  writeTrustAnchor,
} from './trust-anchor.ts';
export { createIssuer } from './issuer.ts';
export { readIssuer } from './issuer-material.ts';
export { CLOCK_SKEW_MS } from './leaf.ts';
export type { Bundle } from './bundle-watch.ts';
export type { IdentitySettings } from './certify-service.ts';
export type { IssuerState } from './issuer-watch.ts';
export type { AckStream, BundleStream } from './trust-bundle-service.ts';

export type { IdentityDeps, IdentityServices } from './services.ts';

/**
 * Starts the identity part of the control plane: it watches its Secret, TrustBundle and namespaces, and answers calls.
 * What serves is loaded by then: commands that make anchors and issuers need a third of it.
 */
export async function createIdentityServices(deps: IdentityDeps): Promise<IdentityServices> {
  return (await import('./services.ts')).startIdentityServices(deps);
}
