import type { PolicyRule } from '../../api/kubernetes-types.ts';
import { resources } from '../../kubernetes/resources.ts';
import type { KubernetesClient } from '../../kubernetes/types.ts';
import type { AuditedRequest } from './audit.ts';

/** One thing that a role lets a ServiceAccount do. */
export interface Right {
  user: string;
  /** `ClusterRole isthmus-control-plane`. */
  role: string;
  verb: string;
  group: string;
  resource: string;
  /** Where it holds; '' is everywhere. */
  namespace: string;
  /** The one object that it is for; '' is any. */
  name: string;
}

/** Every right of the ServiceAccounts of a namespace that comes from roles of ours, each taken apart to its smallest. */
export async function rightsOf(client: KubernetesClient, meshNamespace: string): Promise<Right[]> {
  const [clusterRoles, roles, clusterBindings, bindings] = await Promise.all([
    client.list(resources.clusterRoles),
    client.list(resources.roles, { namespace: meshNamespace }),
    client.list(resources.clusterRoleBindings),
    client.list(resources.roleBindings, { namespace: meshNamespace }),
  ]);
  return [...clusterBindings.items, ...bindings.items].flatMap(({ metadata, roleRef, subjects = [] }) => {
    const of = roleRef.kind === 'ClusterRole' ? clusterRoles.items : roles.items;
    const rules = of.find((role) => role.metadata?.name === roleRef.name)?.rules ?? [];
    return subjects
      .filter(({ kind, namespace }) => kind === 'ServiceAccount' && namespace === meshNamespace)
      .flatMap(({ name }) => {
        const user = `system:serviceaccount:${meshNamespace}:${name}`;
        const role = `${roleRef.kind} ${roleRef.name}`;
        return rules
          .flatMap(split)
          .map((right) => ({ ...right, user, role, namespace: metadata?.namespace ?? '' }));
      });
  });
}

function split(rule: PolicyRule): Pick<Right, 'group' | 'resource' | 'verb' | 'name'>[] {
  const names = rule.resourceNames ?? [];
  return (rule.apiGroups ?? []).flatMap((group) =>
    (rule.resources ?? []).flatMap((resource) =>
      rule.verbs.flatMap((verb) =>
        (names.length === 0 ? [''] : names).map((name) => ({ group, resource, verb, name })),
      ),
    ),
  );
}

/** The rights that no request needed, as text for a person. */
export function unusedRights(rights: readonly Right[], requests: readonly AuditedRequest[]): string[] {
  const allowed = requests.filter((request) => request.allowed);
  return rights.filter((right) => !allowed.some((request) => covers(right, request))).map(rightText);
}

function covers(right: Right, request: AuditedRequest): boolean {
  return (
    right.user === request.user &&
    right.verb === request.verb &&
    right.group === request.group &&
    right.resource === request.resource &&
    (right.namespace === '' || right.namespace === request.namespace) &&
    (right.name === '' || right.name === request.name)
  );
}

/** What accounts of a namespace asked for and were refused, each once. */
export function refusedRequests(requests: readonly AuditedRequest[], meshNamespace: string): string[] {
  const prefix = `system:serviceaccount:${meshNamespace}:`;
  const refused = requests.filter(({ user, allowed }) => !allowed && user.startsWith(prefix));
  return [...new Set(refused.map((request) => rightText({ ...request, role: 'no role' })))];
}

function rightText({ user, role, verb, group, resource, namespace, name }: Right): string {
  const account = user.split(':').at(-1);
  const what = `${resource}${group === '' ? '' : `.${group}`}${name === '' ? '' : ` "${name}"`}`;
  return `${account}: ${verb} ${what}${namespace === '' ? '' : ` in ${namespace}`} (${role})`;
}
