import type { ObjectRef } from '../../api/policy-types.ts';
import { dnsIdentity, parseSpiffeId } from '../../api/names.ts';
import type { DestinationSettings } from '../settings.ts';
import { quoted, type TellProblem } from './problems.ts';

/**
 * Clients by what their certificates say, in the proxy API's form. `names`: a DNS identity means a workload of this
 * cluster, a SPIFFE ID one of the cluster in its path; a SPIFFE ID may have `*` for segments of its path. `suffixes`:
 * DNS identities below these labels, so of this cluster; the one without labels is every identity of the mesh.
 */
export interface ClientIdentities {
  readonly names: readonly string[];
  readonly suffixes: readonly (readonly string[])[];
}

const SPIFFE = 'spiffe://';
const DNS_NAME = /^[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?$/;
/** Each segment is a name or `*`; a last `*` stands for all that may follow. */
const SPIFFE_PATTERN = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/([A-Za-z0-9._-]+|\*))+$/;

/** Identities as people write them: a name, `*` for all, `*.<suffix>`, or a SPIFFE ID. One that can't be read fits nobody. */
export function readIdentities(
  texts: readonly string[],
  settings: DestinationSettings,
  tell: TellProblem,
): ClientIdentities {
  const names: string[] = [];
  const suffixes: string[][] = [];
  for (const text of texts) {
    if (text === '*') suffixes.push([]);
    else if (text.startsWith(SPIFFE) && SPIFFE_PATTERN.test(text)) names.push(localName(text, settings));
    else if (text.startsWith('*.') && DNS_NAME.test(text.slice(2))) suffixes.push(text.slice(2).split('.'));
    else if (DNS_NAME.test(text)) names.push(text);
    else
      tell(
        `the identity ${quoted(text)} fits nobody: it must be a DNS identity, "*", "*.<suffix>" or a SPIFFE ID`,
      );
  }
  return { names, suffixes };
}

/** Proxies know workloads of their own cluster by DNS identity. */
function localName(id: string, settings: DestinationSettings): string {
  const workload = parseSpiffeId(id);
  const { trustDomain, clusterName, meshNamespace } = settings;
  const isLocal = workload?.trustDomain === trustDomain && workload.clusterId === clusterName;
  return isLocal ? dnsIdentity({ ...workload, meshNamespace }) : id;
}

/** A ServiceAccount of this cluster. */
export function serviceAccountIdentity(
  namespace: string,
  name: string,
  { trustDomain, meshNamespace }: DestinationSettings,
): string {
  return dnsIdentity({ namespace, serviceAccount: name, trustDomain, meshNamespace });
}

/** ServiceAccounts and Namespaces of this cluster. @param namespace of who refers to them */
export function readIdentityRefs(
  refs: readonly ObjectRef[],
  namespace: string,
  settings: DestinationSettings,
  tell: TellProblem,
): ClientIdentities {
  const names: string[] = [];
  const suffixes: string[][] = [];
  for (const ref of refs) {
    if (isKind(ref, '', 'ServiceAccount') && ref.name !== undefined) {
      names.push(serviceAccountIdentity(ref.namespace ?? namespace, ref.name, settings));
    } else if (isKind(ref, '', 'Namespace')) {
      const { trustDomain, meshNamespace } = settings;
      const below = `${ref.name ?? namespace}.serviceaccount.identity.${meshNamespace}.${trustDomain}`;
      suffixes.push(below.split('.'));
    } else {
      tell(`the reference to ${refText(ref)} fits nobody: it must name a ServiceAccount or a Namespace`);
    }
  }
  return { names, suffixes };
}

/** Both. */
export function joined(a: ClientIdentities, b: ClientIdentities): ClientIdentities {
  return { names: [...a.names, ...b.names], suffixes: [...a.suffixes, ...b.suffixes] };
}

/** Whether a reference is to that kind. Linkerd takes any case; `core` is the group without a name. */
export function isKind({ group = '', kind = '' }: ObjectRef, wantedGroup: string, wanted: string): boolean {
  const named = group.toLowerCase();
  return (named === 'core' ? '' : named) === wantedGroup && kind.toLowerCase() === wanted.toLowerCase();
}

/** A reference in words. */
export function refText({ group, kind = '', name = '', namespace }: ObjectRef): string {
  const qualified = group === undefined || group === '' ? kind : `${kind}.${group}`;
  return `${qualified} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
