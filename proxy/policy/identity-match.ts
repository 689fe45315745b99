import type { Authn_PermitMeshTLS_PermitClientIdentities } from '../../api/proto/gen/linkerd/inbound_pb.js';

/** A client's proven names. */
export interface ProvenNames {
  /** The DNS identity of a workload of the own cluster, the SPIFFE ID of one of another; empty without identity. */
  readonly identity: string;
  /** Of whichever cluster; empty where the certificate has none. */
  readonly spiffeId: string;
}

const SPIFFE = 'spiffe://';
const ANY = '*';

/** Compiles a list of clients: names, suffixes, and SPIFFE IDs with `*` in their path. */
export function compileIdentities({
  identities,
  suffixes,
}: Pick<Authn_PermitMeshTLS_PermitClientIdentities, 'identities' | 'suffixes'>): (
  names: ProvenNames,
) => boolean {
  const all = identities.map(({ name }) => name);
  const exact = new Set(all);
  const patterns = all
    .filter((name) => name.startsWith(SPIFFE) && name.includes(ANY))
    .map((name) => name.split('/'));
  const endings = suffixes.map(({ parts }) => parts.join('.'));
  return ({ identity, spiffeId }) =>
    exact.has(identity) ||
    (spiffeId !== '' && (exact.has(spiffeId) || patterns.some((pattern) => fits(pattern, spiffeId)))) ||
    endings.some((ending) => hasSuffix(identity, ending));
}

/** `*` stands for one segment, as the last one for any number but none. */
function fits(pattern: readonly string[], spiffeId: string): boolean {
  const segments = spiffeId.split('/');
  const isOpen = pattern.at(-1) === ANY;
  if (isOpen ? segments.length < pattern.length : segments.length !== pattern.length) return false;
  return pattern.every((wanted, i) => wanted === segments[i] || (wanted === ANY && segments[i] !== ''));
}

/** The empty suffix is every identity of the mesh, also of other clusters; any other one means DNS identities below it, so those of the own cluster. */
function hasSuffix(identity: string, suffix: string): boolean {
  if (suffix === '') return true;
  return identity.endsWith(`.${suffix}`) && !identity.startsWith(SPIFFE);
}
