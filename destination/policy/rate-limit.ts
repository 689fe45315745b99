import type { MessageInitShape } from '@bufbuild/protobuf';

import { type HttpLocalRateLimitPolicy, POLICY_GROUP, type PolicyServer } from '../../api/policy-types.ts';
import type { HttpLocalRateLimitSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import type { ClusterReader } from '../cluster-state.ts';
import type { DestinationSettings } from '../settings.ts';
import { isKind, refText, serviceAccountIdentity } from './identities.ts';
import { quoted, type TellProblem, untold } from './problems.ts';
import { byAge } from '../routes/route-order.ts';

export type RateLimitInit = MessageInitShape<typeof HttpLocalRateLimitSchema>;

/** How many requests the proxies of a Server's pods take, each for itself; of several policies the oldest counts. */
export function serverRateLimit(
  { metadata }: PolicyServer,
  cluster: ClusterReader,
  settings: DestinationSettings,
): RateLimitInit | undefined {
  const [policy] = byAge(
    cluster
      .policies('httpLocalRateLimitPolicies', metadata?.namespace ?? '')
      .filter(({ spec }) => isFor(spec?.targetRef ?? {}) && spec?.targetRef?.name === metadata?.name),
  );
  return policy === undefined ? undefined : rateLimit(policy, settings, untold);
}

/** The limits of a policy. One that can't be read is none: a limit of 0 would stop everything. */
export function rateLimit(
  { metadata, spec }: HttpLocalRateLimitPolicy,
  settings: DestinationSettings,
  tell: TellProblem,
): RateLimitInit {
  const { targetRef = {}, total, identity, overrides = [] } = spec ?? {};
  if (!isFor(targetRef)) tell(`it is for nothing: its target is ${refText(targetRef)}, it must be a Server`);
  const limit = (name: string, rps: number | undefined) => {
    if (rps !== undefined && Number.isInteger(rps) && rps > 0 && rps <= MAX_RPS)
      return { requestsPerSecond: rps };
    if (rps !== undefined) tell(`${name} is no limit: ${quoted(rps)} must be a whole number above 0`);
    return undefined;
  };
  const totalLimit = limit('total', total?.requestsPerSecond);
  const identityLimit = limit('identity', identity?.requestsPerSecond);
  const { namespace = '', name = '' } = metadata ?? {};
  return {
    metadata: {
      kind: { case: 'resource', value: { group: POLICY_GROUP, kind: 'httplocalratelimitpolicy', name } },
    },
    ...(totalLimit === undefined ? {} : { total: totalLimit }),
    ...(identityLimit === undefined ? {} : { identity: identityLimit }),
    overrides: overrides.flatMap(({ requestsPerSecond, clientRefs = [] }) => {
      const own = limit('an override', requestsPerSecond);
      if (own === undefined) return [];
      const identities = clientRefs.flatMap((ref) => {
        if (isKind(ref, '', 'ServiceAccount'))
          return [{ name: serviceAccountIdentity(ref.namespace ?? namespace, ref.name ?? '', settings) }];
        tell(`an override is not for ${refText(ref)}: it must be a ServiceAccount`);
        return [];
      });
      return [{ limit: own, clients: { identities } }];
    }),
  };
}

/** More than any proxy takes; the proxy API has 32 bits. */
const MAX_RPS = 4_294_967_295;

function isFor(ref: NonNullable<NonNullable<HttpLocalRateLimitPolicy['spec']>['targetRef']>): boolean {
  return isKind(ref, POLICY_GROUP, 'Server');
}
