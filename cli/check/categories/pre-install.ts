import type { KubernetesObject } from '../../../api/kubernetes-types.ts';
import { KubernetesError } from '../../../kubernetes/types.ts';
import { readMeshNamespace } from '../../install/installation.ts';
import { customResourceDefinitions, isOurs, meshObjects } from '../../install/manifests.ts';
import { installValues } from '../../install/values.ts';
import { resourceFor } from '../../discovery.ts';
import { mapLimited } from '../map-limited.ts';
import { type Check, error, none, ok, type Verdict } from '../check.ts';
import { type Facts, found } from '../facts.ts';
import { resources } from '../../../kubernetes/resources.ts';

/** Whether an installation would succeed: `--pre`. */
export const preInstallChecks: readonly Check[] = [
  {
    id: 'pre-not-installed',
    category: 'pre-kubernetes-setup',
    stage: 'pre',
    description: 'there is no mesh in the cluster yet',
    run: async (facts) => {
      const namespace = await readMeshNamespace(await facts.cluster());
      return namespace === undefined
        ? ok
        : error(`a mesh is installed in namespace ${namespace}: \`isthmus check\` looks whether it is well`);
    },
  },
  {
    id: 'pre-create',
    category: 'pre-kubernetes-setup',
    stage: 'pre',
    description: 'can create what an installation consists of',
    run: async (facts) => none('error', 'not allowed to create', await forbiddenKinds(facts)),
  },
  {
    id: 'pre-grant',
    category: 'pre-kubernetes-setup',
    stage: 'pre',
    description: 'can grant the rights that the components need',
    needs: ['pre-create'],
    run: canGrant,
  },
  {
    id: 'pre-crds',
    category: 'pre-kubernetes-setup',
    stage: 'pre',
    description: 'CustomResourceDefinitions of others that are there serve what is needed',
    run: foreignDefinitions,
  },
];

/** The objects of an installation: kinds and names are what counts here. */
function plannedObjects(facts: Facts): KubernetesObject[] {
  const asked = { clusterName: 'check', meshNamespace: facts.meshNamespace };
  const values = installValues(asked, { embedded: false });
  const trust = { anchors: [], issuerCertificate: '', issuerKey: '' };
  return [...customResourceDefinitions(), ...meshObjects({ values, asked, trust })];
}

async function forbiddenKinds(facts: Facts): Promise<string[]> {
  const client = await facts.client();
  const kinds = new Map<string, KubernetesObject>();
  for (const object of plannedObjects(facts)) kinds.set(`${object.apiVersion} ${object.kind}`, object);
  const answers = await mapLimited([...kinds.values()], async (object) => {
    const resource = await resourceFor(client, object);
    const { status } = await client.raw<{ status: { allowed: boolean; reason?: string } }>(
      'POST',
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: {
          resourceAttributes: {
            group: resource.group,
            resource: resource.plural,
            verb: 'create',
            ...(resource.namespaced ? { namespace: facts.meshNamespace } : {}),
          },
        },
      },
    );
    return status.allowed ? [] : [object.kind ?? ''];
  });
  return answers.flat();
}

/** Nobody may grant rights that they do not have: the API server is asked by dry runs. */
async function canGrant(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const roles = plannedObjects(facts).filter(({ kind }) => kind === 'ClusterRole');
  const refusals = await mapLimited(roles, async (role) => {
    try {
      await client.create(resources.clusterRoles, role, { dryRun: true });
    } catch (thrown) {
      if (!(thrown instanceof KubernetesError)) throw thrown;
      // One that is there says nothing against granting it.
      if (thrown.code !== 409) return [`ClusterRole ${role.metadata?.name}: ${thrown.message}`];
    }
    return [];
  });
  return none('error', 'not allowed to grant', refusals.flat());
}

/** Those of the standards are installed only where they are absent. */
async function foreignDefinitions(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const problems = await mapLimited(
    customResourceDefinitions().filter((crd) => !isOurs(crd)),
    async (wanted) => {
      const name = wanted.metadata?.name ?? '';
      const live = await found(client.get(resources.customResourceDefinitions, undefined, name));
      if (live === undefined) return [];
      const served = live.spec.versions.filter((v) => v.served).map((v) => v.name);
      const missing = wanted.spec.versions.filter((v) => v.served && !served.includes(v.name));
      return missing.length === wanted.spec.versions.length
        ? [`${name} serves ${served.join(', ') || 'nothing'}, not ${missing.map((v) => v.name).join(', ')}`]
        : [];
    },
  );
  return none('error', 'too old, or too new', problems.flat());
}
