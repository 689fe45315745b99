import { randomUUID } from 'node:crypto';
import type { StoredObject } from '../../types.ts';
import { badRequest, conflict, invalid, notFound } from '../errors.ts';
import { isObject, type JsonObject, valueAt, text } from '../json.ts';
import { type Call, timestamp, type UserInfo } from '../operations/core.ts';
import type { Store } from '../store/store.ts';
import { signJwt, verifyJwt } from './jwt.ts';
import type { SigningKey } from './signing-key.ts';

/** `iss` of every token, and the audience of a token that names none; a real cluster's default. */
export const SERVICE_ACCOUNT_ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** TokenRequest's limits: 10 minutes, 2^32 seconds, one hour when it does not say. */
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
const DEFAULT_SECONDS = 3600;

/** What a valid token says. */
export interface TokenIdentity {
  user: UserInfo;
  audiences: readonly string[];
}

/**
 * Issues and checks ServiceAccount tokens: bound to their ServiceAccount, and to a Pod, Secret or Node where asked for;
 * they end with what they are bound to.
 */
export class ServiceAccountTokens {
  readonly #store: Store;
  readonly #key: SigningKey;
  readonly #now: () => number;

  constructor(store: Store, key: SigningKey, now: () => number) {
    this.#store = store;
    this.#key = key;
    this.#now = now;
  }

  /** POST of `serviceaccounts/token`; answers with the TokenRequest and its status. */
  issue(call: Call, input: unknown): StoredObject {
    const account = this.#store.get('serviceaccounts', call.namespace, call.name);
    if (account === undefined) throw notFound({ group: '', resource: 'serviceaccounts' }, call.name);
    const seconds = requestedSeconds(input);
    const name = text(valueAt(input, 'metadata.name'));
    if (name !== '' && name !== call.name) {
      const message = `Invalid value: ${JSON.stringify(name)}: must match the service account name if specified`;
      throw invalidRequest(call, 'metadata.name', message);
    }
    const asked = valueAt(input, 'spec.audiences');
    const audiences = Array.isArray(asked) && asked.length > 0 ? asked.map(String) : [SERVICE_ACCOUNT_ISSUER];
    const bound = this.#boundObject(call, account, valueAt(input, 'spec.boundObjectRef'));
    const now = Math.floor(this.#now() / 1000);
    const token = signJwt(this.#key, {
      aud: audiences,
      exp: now + seconds,
      iat: now,
      iss: SERVICE_ACCOUNT_ISSUER,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace: call.namespace,
        ...bound,
        serviceaccount: { name: call.name, uid: account.metadata.uid },
      },
      nbf: now,
      sub: `system:serviceaccount:${call.namespace ?? ''}:${call.name}`,
    });
    const boundObjectRef = valueAt(input, 'spec.boundObjectRef');
    return {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: {
        name: call.name,
        ...(call.namespace === undefined ? {} : { namespace: call.namespace }),
        uid: randomUUID(),
        creationTimestamp: timestamp(this.#now()),
      },
      spec: { audiences, expirationSeconds: seconds, boundObjectRef: boundObjectRef ?? null },
      status: { token, expirationTimestamp: timestamp((now + seconds) * 1000) },
    };
  }

  /** Who holds this token; undefined when it is not ours, has run out, or what it is bound to is gone. */
  verify(token: string): TokenIdentity | undefined {
    const claims = verifyJwt(this.#key, token);
    if (claims === undefined || claims['iss'] !== SERVICE_ACCOUNT_ISSUER) return undefined;
    const now = Math.floor(this.#now() / 1000);
    const { exp, nbf } = claims;
    if (typeof exp !== 'number' || now >= exp || (typeof nbf === 'number' && now < nbf)) return undefined;
    const kubernetes = claims['kubernetes.io'];
    const namespace = valueAt(kubernetes, 'namespace');
    const name = valueAt(kubernetes, 'serviceaccount.name');
    if (typeof namespace !== 'string' || typeof name !== 'string') return undefined;
    const uid = valueAt(kubernetes, 'serviceaccount.uid');
    if (this.#uidOf('serviceaccounts', namespace, name) !== uid) return undefined;
    for (const [field, resource, scope] of BOUND_RESOURCES) {
      const boundName = valueAt(kubernetes, `${field}.name`);
      // A Pod's node is told for information; only the Pod's life counts.
      if (typeof boundName !== 'string' || (field === 'node' && valueAt(kubernetes, 'pod') !== undefined))
        continue;
      const boundUid = this.#uidOf(resource, scope === 'namespace' ? namespace : undefined, boundName);
      if (boundUid === undefined || boundUid !== valueAt(kubernetes, `${field}.uid`)) return undefined;
    }
    const { aud } = claims;
    return {
      user: userOf(namespace, name, String(uid), claims),
      audiences: Array.isArray(aud) ? aud.map(String) : [String(aud)],
    };
  }

  #uidOf(resource: string, namespace: string | undefined, name: string): string | undefined {
    return this.#store.get(resource, namespace, name)?.metadata.uid;
  }

  #boundObject(call: Call, account: StoredObject, reference: unknown): JsonObject {
    if (!isObject(reference)) return {};
    const kind = text(reference['kind']);
    const entry = BOUND_RESOURCES.find(([field]) => field === kind.toLowerCase());
    if (entry === undefined || reference['apiVersion'] !== 'v1') {
      const version = text(reference['apiVersion']);
      throw badRequest(
        `cannot bind token to object of type ${version.includes('/') ? version : `/${version}`}, Kind=${kind}`,
      );
    }
    const [field, resource, scope] = entry;
    const name = text(reference['name']);
    const object = this.#store.get(resource, scope === 'namespace' ? call.namespace : undefined, name);
    if (object === undefined) throw notFound({ group: '', resource }, name);
    const { uid } = object.metadata;
    const askedUid = reference['uid'];
    if (askedUid !== undefined && askedUid !== '' && askedUid !== uid) {
      throw conflict(
        { group: '', resource },
        name,
        `the UID in the bound object reference (${text(askedUid)}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    if (field !== 'pod') return { [field]: { name, uid } };
    const podAccount = valueAt(object, 'spec.serviceAccountName');
    if (podAccount !== account.metadata.name) {
      throw invalidRequest(
        call,
        'spec.boundObjectRef',
        `Invalid value: ${JSON.stringify(name)}: cannot bind token for serviceaccount ${JSON.stringify(call.name)} to pod running with different serviceaccount name.`,
      );
    }
    const nodeName = valueAt(object, 'spec.nodeName');
    const node = typeof nodeName === 'string' ? this.#uidOf('nodes', undefined, nodeName) : undefined;
    return { pod: { name, uid }, ...(node === undefined ? {} : { node: { name: nodeName, uid: node } }) };
  }
}

/** Claim, resource and scope of what a token can be bound to. */
const BOUND_RESOURCES = [
  ['pod', 'pods', 'namespace'],
  ['secret', 'secrets', 'namespace'],
  ['node', 'nodes', 'cluster'],
] as const;

function requestedSeconds(input: unknown): number {
  const asked = valueAt(input, 'spec.expirationSeconds');
  if (asked === undefined || asked === null) return DEFAULT_SECONDS;
  const wrong =
    typeof asked !== 'number' || asked < MIN_SECONDS
      ? 'may not specify a duration less than 10 minutes'
      : asked > MAX_SECONDS
        ? 'may not specify a duration larger than 2^32 seconds'
        : undefined;
  if (wrong !== undefined) {
    throw invalid('TokenRequest', 'authentication.k8s.io', '', [
      {
        field: 'spec.expirationSeconds',
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${text(asked)}: ${wrong}`,
      },
    ]);
  }
  return asked as number;
}

function invalidRequest(call: Call, field: string, message: string): Error {
  return invalid('TokenRequest', 'authentication.k8s.io', call.name, [
    { field, reason: 'FieldValueInvalid', message },
  ]);
}

function userOf(namespace: string, name: string, uid: string, claims: JsonObject): UserInfo {
  const extra: Record<string, readonly string[]> = {};
  if (typeof claims['jti'] === 'string')
    extra['authentication.kubernetes.io/credential-id'] = [`JTI=${claims['jti']}`];
  for (const [field] of BOUND_RESOURCES) {
    const bound = valueAt(claims['kubernetes.io'], field);
    if (field === 'secret' || !isObject(bound)) continue;
    extra[`authentication.kubernetes.io/${field}-name`] = [String(bound['name'])];
    extra[`authentication.kubernetes.io/${field}-uid`] = [String(bound['uid'])];
  }
  return {
    username: `system:serviceaccount:${namespace}:${name}`,
    uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    extra,
  };
}
