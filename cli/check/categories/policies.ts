import type { KubernetesObject } from '../../../api/kubernetes-types.ts';
import { findPolicyProblems, POLICY_KINDS, policyKinds } from '../../../destination/index.ts';
import { resources } from '../../../kubernetes/resources.ts';
import type { KubernetesClient } from '../../../kubernetes/types.ts';
import { type Check, none, type Verdict } from '../check.ts';
import { type Facts, found } from '../facts.ts';

/** Whether policies do what they seem to say. */
export const policyChecks: readonly Check[] = [
  {
    id: 'policies',
    category: 'isthmus-config',
    stage: 'installed',
    description: 'policies and routes do what they seem to say',
    needs: ['crds'],
    run: policies,
  },
];

async function policies(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const values = await facts.values();
  const kinds = await Promise.all(
    POLICY_KINDS.map(async (kind) => [kind, await listed(client, kind)] as const),
  );
  const written = Object.fromEntries(kinds);
  if (kinds.every(([, objects]) => objects.length === 0)) return none('warning', '', []);
  const { items: services } = await client.list(resources.services);
  return none(
    'warning',
    'without effect, or with another one',
    findPolicyProblems(written, services, { ...values, opaquePorts: [] }),
  );
}

/** In the best version that the cluster serves; nothing of a kind that it has not. */
async function listed(
  client: KubernetesClient,
  kind: (typeof POLICY_KINDS)[number],
): Promise<KubernetesObject[]> {
  const { resource, older } = policyKinds[kind];
  for (const version of [resource.version, ...older]) {
    const list = await found(client.list<KubernetesObject>({ ...resource, version }));
    if (list !== undefined) return list.items;
  }
  return [];
}
