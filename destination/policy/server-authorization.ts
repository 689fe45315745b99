import { POLICY_GROUP, type PolicyServer, type ServerAuthorization } from '../../api/policy-types.ts';
import { isEmptySelector, matchesSelector } from '../../kubernetes/labels.ts';
import type { DestinationSettings } from '../settings.ts';
import { type AuthzInit, type Permit, resourceAuthorization } from './authorization.ts';
import { joined, readIdentities, serviceAccountIdentity } from './identities.ts';
import { networksOf, readNetworks } from './networks.ts';
import { quoted, type TellProblem } from './problems.ts';

/** Whether a ServerAuthorization is for a Server of its namespace. One whose selector can't be read is for none. */
export function selectsServer({ spec }: ServerAuthorization, server: PolicyServer): boolean {
  const { name, selector } = spec?.server ?? {};
  if (name !== undefined) return name === server.metadata?.name;
  if (selector === undefined) return false;
  try {
    return isEmptySelector(selector) || matchesSelector(selector, server.metadata?.labels);
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Whom a ServerAuthorization lets in; undefined: nobody, since it can't be understood, and `tell` is told why. */
export function serverAuthorization(
  object: ServerAuthorization,
  settings: DestinationSettings,
  tell: TellProblem,
): AuthzInit | undefined {
  const { client = {}, server } = object.spec ?? {};
  if ((server?.name === undefined) === (server?.selector === undefined))
    tell('it is for no Server, or for two kinds of them: spec.server must have either a name or a selector');
  const networks =
    client.networks === undefined
      ? networksOf(settings.clusterNetworks)
      : readNetworks(client.networks, tell);
  const permit = permitOf(object, settings, tell);
  if (permit === undefined || networks.length === 0) return undefined;
  const name = object.metadata?.name ?? '';
  return resourceAuthorization({ group: POLICY_GROUP, kind: 'serverauthorization', name }, networks, permit);
}

function permitOf(
  { spec, metadata }: ServerAuthorization,
  settings: DestinationSettings,
  tell: TellProblem,
): Permit | undefined {
  const { unauthenticated = false, meshTLS } = spec?.client ?? {};
  if (unauthenticated && meshTLS !== undefined) {
    tell('it lets nobody in: spec.client must have either unauthenticated or meshTLS');
    return undefined;
  }
  if (unauthenticated) return { clients: 'anyone' };
  if (meshTLS === undefined) {
    tell(
      `it lets nobody in: spec.client is ${quoted(spec?.client)}, it must have unauthenticated or meshTLS`,
    );
    return undefined;
  }
  if (meshTLS.unauthenticatedTLS === true) return { clients: 'tls' };
  const accounts = (meshTLS.serviceAccounts ?? []).map(({ name = '', namespace }) =>
    serviceAccountIdentity(namespace ?? metadata?.namespace ?? '', name, settings),
  );
  const written = readIdentities(meshTLS.identities ?? [], settings, tell);
  return { clients: joined(written, { names: accounts, suffixes: [] }) };
}
