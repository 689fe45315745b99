import type { UserInfo } from '../operations/core.ts';

/** What someone wants to do: with a resource, or with a path that is none. */
export type Attributes =
  | {
      kind: 'resource';
      user: UserInfo;
      verb: string;
      group: string;
      resource: string;
      subresource: string;
      /** '' where it is cluster-wide. */
      namespace: string;
      name: string;
    }
  | { kind: 'path'; user: UserInfo; verb: string; path: string };

/** Whether a request is allowed, and why, for the audit log. */
export interface Decision {
  allowed: boolean;
  /** Which binding allowed it; '' when nothing did. */
  reason: string;
}

/** Decides what users may do. */
export interface Authorizer {
  authorize(attributes: Attributes): Decision;
}

/** `User "x" cannot list resource "pods" in API group "" in the namespace "default"`. */
export function denial(attributes: Attributes): string {
  const user = JSON.stringify(attributes.user.username);
  if (attributes.kind === 'path')
    return `User ${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`;
  const { verb, resource, subresource, group, namespace } = attributes;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return `User ${user} cannot ${verb} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${scope}`;
}
