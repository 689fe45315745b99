import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import type { Resource } from '../../kubernetes/types.ts';
import type { ClusterReader } from '../cluster-state.ts';
import { meshTlsIdentities, policyAuthorization, targetOf } from '../policy/authorization.ts';
import { refText } from '../policy/identities.ts';
import { POLICY_KINDS, type PolicyKind, type PolicyKinds, policyKinds } from '../policy/kinds.ts';
import { readNetworks } from '../policy/networks.ts';
import type { TellProblem } from '../policy/problems.ts';
import { serverAuthorization } from '../policy/server-authorization.ts';
import { accessPolicy } from '../policy/server-policy.ts';
import { serverProtocol } from '../policy/server-protocol.ts';
import { profileRoutes, retryBudget } from '../profile/profile-routes.ts';
import { rateLimit } from '../policy/rate-limit.ts';
import type { DestinationSettings } from '../settings.ts';

/** What of a policy object does not do what it seems to say. */
export interface PolicyProblem {
  readonly resource: Resource;
  readonly object: KubernetesObject;
  readonly problem: string;
}

type Reader<T> = (
  object: T,
  cluster: ClusterReader,
  settings: DestinationSettings,
  tell: TellProblem,
) => void;

/** How each kind is read for what is wrong with it; routes have conditions instead. */
const READERS: { readonly [K in PolicyKind]?: Reader<PolicyKinds[K]> } = {
  servers: (server, _cluster, _settings, tell) => {
    serverProtocol(server, tell);
    accessPolicy(server, tell);
    if (server.spec?.podSelector === undefined) tell('it is for no pod: it has no podSelector');
  },
  serverAuthorizations: (object, _cluster, settings, tell) => serverAuthorization(object, settings, tell),
  authorizationPolicies: (policy, cluster, settings, tell) => {
    const target = targetOf(policy, tell);
    const { namespace = '' } = policy.metadata ?? {};
    if (target?.kind === 'server' && cluster.policy('servers', namespace, target.name) === undefined)
      tell(`it is for nothing: there is no ${refText({ kind: 'Server', name: target.name, namespace })}`);
    policyAuthorization(policy, cluster, settings, tell);
  },
  meshTlsAuthentications: (object, _cluster, settings, tell) => meshTlsIdentities(object, settings, tell),
  networkAuthentications: ({ spec }, _cluster, _settings, tell) => readNetworks(spec?.networks ?? [], tell),
  httpLocalRateLimitPolicies: (policy, _cluster, settings, tell) => rateLimit(policy, settings, tell),
  serviceProfiles: (profile, _cluster, _settings, tell) => {
    profileRoutes(profile, tell);
    retryBudget(profile, tell);
  },
};

/** Everything in the cluster's policies that does not do what it seems to say. */
export function policyProblems(cluster: ClusterReader, settings: DestinationSettings): PolicyProblem[] {
  return POLICY_KINDS.flatMap((kind) => {
    const read: Reader<never> | undefined = READERS[kind];
    if (read === undefined) return [];
    return cluster.allPolicies(kind).flatMap((object) => {
      const problems: PolicyProblem[] = [];
      const { resource } = policyKinds[kind];
      read(object as never, cluster, settings, (problem) => problems.push({ resource, object, problem }));
      return problems;
    });
  });
}
