import type { Link } from '../../../api/isthmus-types.ts';
import type { LinkConditionType } from '../../../api/isthmus-types.ts';
import { annotation, component, label } from '../../../api/names.ts';
import { resources } from '../../../kubernetes/resources.ts';
import { type Check, error, none, ok, type Verdict, warning, worst } from '../check.ts';
import { type Facts, nameOf } from '../facts.ts';

/** A Link's status is written at least once a minute while its target is heard of. */
const STALE_MS = 5 * 60_000;
/** The holder renews every 2 s; others take over after 15. */
const LEASE_TOLERANCE_MS = 60_000;

/** Whether other clusters can come here, and what this one knows of those that it is linked to. */
export const multiclusterChecks: readonly Check[] = [
  {
    id: 'gateway-address',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'the gateway has an address for other clusters',
    waits: true,
    run: gatewayAddress,
  },
  {
    id: 'mirror-controller-leads',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'a mirror controller leads, and renews its lease',
    waits: true,
    run: leads,
  },
  {
    id: 'links-valid',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'Link resources are valid, and lead to the clusters that they name',
    needs: ['crds'],
    run: async (facts) =>
      worst(
        'Links',
        (await facts.links()).map((link) => verdictOf(link, 'Synced', (why) => INVALID.has(why))),
      ),
  },
  condition('link-credentials', 'CredentialsValid', 'remote cluster access credentials are valid'),
  condition('link-apis', 'ApiReachable', 'the APIs of linked clusters are reachable'),
  condition('link-trust', 'TrustShared', 'clusters share trust anchors'),
  condition('link-gateways', 'GatewayAlive', 'gateways of linked clusters are reachable'),
  {
    id: 'link-synced',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'mirrors follow what linked clusters export',
    needs: ['crds', 'links-valid', 'link-credentials', 'link-apis'],
    waits: true,
    run: async (facts) => ofLinks(facts, 'Synced'),
  },
  {
    id: 'link-stale',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'linked clusters were heard of of late',
    needs: ['crds'],
    run: heardOf,
  },
  {
    id: 'exports-mirrored',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'all exported services are mirrored',
    needs: ['crds'],
    run: async (facts) => {
      const left = (await facts.links()).flatMap(({ spec, status }) =>
        (status?.mirrorServices ?? [])
          .filter(({ mirrored }) => !mirrored)
          .map(
            ({ namespace, remoteName, reason, message }) =>
              `${namespace}/${remoteName} of ${spec.targetClusterName}: ${message || (reason ?? '')}`,
          ),
      );
      return none('warning', 'exported, and not mirrored here', left);
    },
  },
  {
    id: 'mirrors-endpoints',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'all mirror services have endpoints',
    waits: true,
    run: mirrorsWithoutEndpoints,
  },
  {
    id: 'mirrors-linked',
    category: 'isthmus-multicluster',
    stage: 'installed',
    description: 'all mirror services are part of a Link',
    needs: ['crds'],
    waits: true,
    run: async (facts) => {
      const linked = new Set((await facts.links()).map(({ spec }) => spec.targetClusterName));
      const orphans = (await facts.mirrors()).filter(
        ({ metadata }) => !linked.has(metadata?.labels?.[label.mirrorCluster] ?? ''),
      );
      return none('error', 'left over from a link that is gone', orphans.map(nameOf));
    },
  },
];

/** Reasons of `Synced` by which the Link itself is wrong. */
const INVALID: ReadonlySet<string> = new Set(['InvalidLink', 'LinkToSelf', 'WrongCluster']);

function condition(id: string, type: LinkConditionType, description: string): Check {
  return {
    id,
    category: 'isthmus-multicluster',
    stage: 'installed',
    description,
    needs: ['crds', 'links-valid'],
    waits: true,
    run: (facts) => ofLinks(facts, type),
  };
}

async function ofLinks(facts: Facts, type: LinkConditionType): Promise<Verdict> {
  return worst(
    'Links',
    (await facts.links()).map((link) => verdictOf(link, type, () => true)),
  );
}

/** What the mirror controller says of a Link; `counts` decides by the reason whether a condition that is not met is this check's matter. */
function verdictOf(link: Link, type: LinkConditionType, counts: (reason: string) => boolean): Verdict {
  const name = `link ${link.metadata?.name}`;
  const said = link.status?.conditions?.find((c) => c.type === type);
  if (said?.status === 'True') return ok;
  if (said !== undefined && !counts(said.reason ?? '')) return ok;
  if (said === undefined) return warning(`${name}: the mirror controller has not said yet whether ${type}`);
  const message = `${name}: ${type} is ${said.status}: ${said.message || (said.reason ?? '')}`;
  return said.status === 'False' ? error(message) : warning(message);
}

async function gatewayAddress(facts: Facts): Promise<Verdict> {
  const services = await facts.services();
  const gateway = services.find(
    ({ metadata }) => metadata?.namespace === facts.meshNamespace && metadata.name === component.gateway,
  );
  if (gateway?.spec?.type === 'ClusterIP') return ok;
  const balanced = (gateway?.status?.loadBalancer?.ingress ?? []).length > 0;
  const nodes = gateway?.metadata?.annotations?.[annotation.gatewayNodes] ?? '';
  return balanced || nodes !== ''
    ? ok
    : warning(
        `Service ${component.gateway} has no load-balancer address, and no nodes are known: links to this cluster find no gateway`,
      );
}

async function leads(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const { spec } = await client.get(resources.leases, facts.meshNamespace, component.mirrorController);
  if (!spec?.holderIdentity) return error('no mirror controller holds the Lease: nothing is mirrored');
  const { aheadMs } = await facts.clock();
  const age = facts.options.now() + aheadMs - Date.parse(spec.renewTime ?? '');
  return age < LEASE_TOLERANCE_MS
    ? ok
    : error(`${spec.holderIdentity} has not renewed its Lease for ${Math.round(age / 1000)} s`);
}

async function heardOf(facts: Facts): Promise<Verdict> {
  const { aheadMs } = await facts.clock();
  const now = facts.options.now() + aheadMs;
  const stale = (await facts.links()).flatMap(({ metadata, status }) => {
    if (status?.lastSyncTime === undefined) return [`${metadata?.name}: never`];
    const age = now - Date.parse(status.lastSyncTime);
    return age < STALE_MS ? [] : [`${metadata?.name}: ${Math.round(age / 60_000)} minutes ago`];
  });
  return none('warning', 'its state here is old; last heard of', stale);
}

async function mirrorsWithoutEndpoints(facts: Facts): Promise<Verdict> {
  const slices = await facts.mirrorSlices();
  const served = new Set(
    slices
      .filter(({ endpoints }) => (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false))
      .map(({ metadata }) => `${metadata?.namespace}/${metadata?.labels?.[label.sliceServiceName]}`),
  );
  const empty = (await facts.mirrors()).filter((mirror) => !served.has(nameOf(mirror)));
  return none(
    'error',
    'no ready endpoint: the exported service has none, or the gateway is not reached',
    empty.map((mirror) => `${nameOf(mirror)} of ${mirror.metadata?.labels?.[label.mirrorCluster]}`),
  );
}
