import { resources } from './resources.ts';

/** The kinds of policy that the control plane reads where a cluster has them, with the version that we like best. */
export const policyResources = {
  servers: resources.servers,
  serverAuthorizations: resources.serverAuthorizations,
  authorizationPolicies: resources.authorizationPolicies,
  meshTlsAuthentications: resources.meshTlsAuthentications,
  networkAuthentications: resources.networkAuthentications,
  httpLocalRateLimitPolicies: resources.httpLocalRateLimitPolicies,
  policyHttpRoutes: resources.policyHttpRoutes,
  httpRoutes: resources.httpRoutes,
  grpcRoutes: resources.grpcRoutes,
  serviceProfiles: resources.serviceProfiles,
} as const;
