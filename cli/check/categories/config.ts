import { isDeepStrictEqual } from 'node:util';
import type {
  CustomResourceDefinition,
  KubernetesObject,
  MutatingWebhook,
  MutatingWebhookConfiguration,
  PolicyRule,
  Role,
  RoleBinding,
} from '../../../api/kubernetes-types.ts';
import { resources } from '../../../kubernetes/resources.ts';
import { readClusterId } from '../../cluster-access.ts';
import { customResourceDefinitions, isOurs, webhookOf } from '../../install/manifests.ts';
import { rbac } from '../../install/rbac.ts';
import { type Check, error, none, ok, type Verdict, worst } from '../check.ts';
import { type Facts, found } from '../facts.ts';
import { mapLimited } from '../map-limited.ts';

/** Whether the objects of the installation are as they were made. */
export const configChecks: readonly Check[] = [
  {
    id: 'crds',
    category: 'isthmus-config',
    stage: 'installed',
    description: 'CustomResourceDefinitions exist and are served',
    waits: true,
    run: async (facts) => none('error', 'not served', await definitionProblems(facts, notServed)),
  },
  {
    id: 'crd-schema',
    category: 'isthmus-config',
    stage: 'installed',
    description: 'CustomResourceDefinitions have the schema of this version',
    needs: ['crds'],
    run: async (facts) =>
      none('warning', 'not as this version makes them', await definitionProblems(facts, otherSchema)),
  },
  {
    id: 'service-accounts',
    category: 'isthmus-config',
    stage: 'installed',
    description: "the components' ServiceAccounts exist",
    run: serviceAccounts,
  },
  {
    id: 'permissions',
    category: 'isthmus-config',
    stage: 'installed',
    description: 'components have the permissions that they need',
    run: permissions,
  },
  {
    id: 'webhook-config',
    category: 'isthmus-config',
    stage: 'installed',
    description: 'the MutatingWebhookConfiguration is as it was installed',
    run: webhookConfiguration,
  },
  {
    id: 'cluster-id',
    category: 'isthmus-config',
    stage: 'installed',
    description: 'the cluster id is the one that was installed',
    run: async (facts) => {
      const id = await readClusterId(await facts.cluster());
      const { clusterName } = await facts.values();
      return id === clusterName
        ? ok
        : error(
            `the ClusterProperty says ${JSON.stringify(id ?? '')}, the mesh was installed as "${clusterName}"`,
          );
    },
  },
];

type DefinitionProblem = (
  live: CustomResourceDefinition | undefined,
  wanted: CustomResourceDefinition,
) => string[];

async function definitionProblems(facts: Facts, problem: DefinitionProblem): Promise<string[]> {
  const client = await facts.client();
  const problems = await mapLimited(customResourceDefinitions(), async (wanted) => {
    const name = wanted.metadata?.name ?? '';
    const live = await found(client.get(resources.customResourceDefinitions, undefined, name));
    return problem(live, wanted).map((what) => `${name}: ${what}`);
  });
  return problems.flat();
}

const notServed: DefinitionProblem = (live, wanted) => {
  if (live === undefined) return ['it does not exist'];
  const established = live.status?.conditions?.find((c) => c.type === 'Established');
  if (established?.status !== 'True')
    return [`it is not established: ${established?.message ?? 'not judged yet'}`];
  const served = new Set(live.spec.versions.filter((v) => v.served).map((v) => v.name));
  const missing = wanted.spec.versions.filter((v) => v.served && !served.has(v.name));
  // Of the kinds of others any version that we know is enough.
  if (!isOurs(wanted) && missing.length < wanted.spec.versions.length) return [];
  return missing.map((v) => `${v.name} is not served`);
};

/** Those of others are theirs to change. */
const otherSchema: DefinitionProblem = (live, wanted) => {
  if (live === undefined || !isOurs(wanted)) return [];
  return wanted.spec.versions.flatMap(({ name, schema }) => {
    const there = live.spec.versions.find((version) => version.name === name)?.schema;
    const difference = firstDifference(schema?.openAPIV3Schema, there?.openAPIV3Schema, name);
    return difference === undefined ? [] : [`${difference} differs`];
  });
};

/** Path of the first thing that is wanted and not there; what servers add does not count. */
function firstDifference(wanted: unknown, live: unknown, path: string): string | undefined {
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) {
    return isDeepStrictEqual(wanted, live) ? undefined : path;
  }
  if (typeof live !== 'object' || live === null) return path;
  for (const [key, value] of Object.entries(wanted)) {
    const difference = firstDifference(value, (live as Record<string, unknown>)[key], `${path}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

async function serviceAccounts(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const names = rbac(await facts.values())
    .filter(({ kind }) => kind === 'ServiceAccount')
    .map(({ metadata }) => metadata?.name ?? '');
  const missing = await mapLimited(names, async (name) => {
    const account = await found(client.get(resources.serviceAccounts, facts.meshNamespace, name));
    return account === undefined ? [name] : [];
  });
  return none('error', `missing in namespace ${facts.meshNamespace}`, missing.flat());
}

/** One thing that an account must be allowed to do. */
interface Need {
  account: string;
  namespace: string | undefined;
  verb: string;
  group: string;
  resource: string;
  name: string | undefined;
}

/** Asks the API server itself, so that whatever authorizes there is asked. */
async function permissions(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const needs = neededPermissions(rbac(await facts.values()));
  const denied = await mapLimited(needs, async (need) => {
    const [resource, subresource] = need.resource.split('/');
    const { status } = await client.raw<{ status: { allowed: boolean } }>(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: `system:serviceaccount:${facts.meshNamespace}:${need.account}`,
          groups: [
            'system:serviceaccounts',
            `system:serviceaccounts:${facts.meshNamespace}`,
            'system:authenticated',
          ],
          resourceAttributes: {
            verb: need.verb,
            group: need.group,
            resource,
            ...(subresource === undefined ? {} : { subresource }),
            ...(need.namespace === undefined ? {} : { namespace: need.namespace }),
            ...(need.name === undefined ? {} : { name: need.name }),
          },
        },
      },
    );
    const where = need.namespace === undefined ? '' : ` in namespace ${need.namespace}`;
    const what = need.name === undefined ? need.resource : `${need.resource} "${need.name}"`;
    return status.allowed ? [] : [`${need.account} may not ${need.verb} ${what}${where}`];
  });
  return none('error', 'not allowed', denied.flat());
}

/** What roles grant to accounts by their bindings, one by one. */
function neededPermissions(objects: readonly KubernetesObject[]): Need[] {
  const ofKind = (pattern: RegExp): KubernetesObject[] =>
    objects.filter(({ kind = '' }) => pattern.test(kind));
  const roles = ofKind(/^(Cluster)?Role$/) as Role[];
  const bindings = ofKind(/^(Cluster)?RoleBinding$/) as RoleBinding[];
  return bindings.flatMap(({ metadata, roleRef, subjects = [] }) => {
    const role = roles.find(
      ({ kind, metadata: { name } = {} }) => kind === roleRef.kind && name === roleRef.name,
    );
    const namespace = metadata?.namespace;
    return subjects.flatMap(({ name: account }) =>
      (role?.rules ?? []).flatMap((rule) => grants(rule).map((grant) => ({ ...grant, account, namespace }))),
    );
  });
}

function grants(rule: PolicyRule): Omit<Need, 'account' | 'namespace'>[] {
  const names = rule.resourceNames ?? [undefined];
  return (rule.apiGroups ?? []).flatMap((group) =>
    (rule.resources ?? []).flatMap((resource) =>
      rule.verbs.flatMap((verb) => names.map((name) => ({ group, resource, verb, name }))),
    ),
  );
}

/** All but the CA bundle, which the control plane keeps. */
async function webhookConfiguration(facts: Facts): Promise<Verdict> {
  const live = await facts.webhook();
  const wanted = webhookOf(await facts.values()) as MutatingWebhookConfiguration;
  return worst(
    'it was changed',
    (wanted.webhooks ?? []).map((hook) => {
      const there = live.webhooks?.find(({ name }) => name === hook.name);
      if (there === undefined) return error(`webhook ${hook.name} is missing: pods get no sidecar`);
      const path = firstDifference(comparable(hook), comparable(there), hook.name);
      return path === undefined ? ok : error(`${path} is not as it was installed`);
    }),
  );
}

function comparable({ clientConfig, ...hook }: MutatingWebhook): object {
  const { caBundle: _kept, ...address } = clientConfig;
  return { ...hook, clientConfig: address };
}
