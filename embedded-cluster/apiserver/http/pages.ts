import { openApiV3Document, openApiV3Index } from '../../schema/index.ts';
import { SERVICE_ACCOUNT_ISSUER } from '../authn/service-account-tokens.ts';
import type { SigningKey } from '../authn/signing-key.ts';
import type { Registry } from '../registry.ts';
import { aggregated, group, groupList, legacyVersions, resourceList } from './discovery.ts';
import { mediaRanges } from './representation.ts';
import { VERSION_INFO } from './version.ts';

/** Plain text, or JSON with its media type where it is a special one. */
export type Page = string | { body: object; contentType?: string };

const AGGREGATED_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** What is served at paths that are no resources: discovery, OpenAPI, health, version, the keys of tokens. */
export class Pages {
  readonly #registry: Registry;
  readonly #signingKey: SigningKey;
  readonly #serverAddress: () => string;

  constructor(registry: Registry, signingKey: SigningKey, serverAddress: () => string) {
    this.#registry = registry;
    this.#signingKey = signingKey;
    this.#serverAddress = serverAddress;
  }

  /** The page at a path; undefined when there is none. */
  at(path: string, accept: string): Page | undefined {
    const registry = this.#registry;
    const [root = '', first = '', second = '', ...more] = path.split('/').filter((part) => part !== '');
    switch (root) {
      case 'healthz':
      case 'livez':
      case 'readyz':
        return 'ok';
      case 'version':
        return { body: VERSION_INFO };
      case 'api':
      case 'apis':
        if (first === '') {
          if (wantsAggregated(accept))
            return { body: aggregated(registry, root === 'api'), contentType: AGGREGATED_TYPE };
          return {
            body: root === 'api' ? legacyVersions(this.#serverAddress()) : groupList(registry),
          };
        }
        return wrap(
          root === 'api'
            ? resourceList(registry, '', first)
            : second === ''
              ? group(registry, first)
              : resourceList(registry, first, second),
        );
      case 'openapi':
        return this.#openApi(first, [second, ...more]);
      case 'openid':
        return first === 'v1' && second === 'jwks' ? this.#keySet() : undefined;
      case '.well-known':
        return first === 'openid-configuration'
          ? { body: openIdConfiguration(this.#serverAddress()) }
          : undefined;
      default:
        return undefined;
    }
  }

  #openApi(version: string, path: readonly string[]): Page | undefined {
    if (version !== 'v3') return undefined;
    const types = this.#registry.all();
    if (path[0] === '' || path[0] === undefined) return wrap(openApiV3Index(types));
    const [root, ...rest] = path;
    const [groupName, documentVersion] = root === 'api' ? ['', rest[0]] : [rest[0], rest[1]];
    if (groupName === undefined || documentVersion === undefined) return undefined;
    return wrap(openApiV3Document(groupName, documentVersion, types));
  }

  #keySet(): Page {
    return { body: { keys: [this.#signingKey.jwk] }, contentType: 'application/jwk-set+json' };
  }
}

function wantsAggregated(accept: string): boolean {
  return mediaRanges(accept).some(
    ({ as, group: name, version }) =>
      as === 'APIGroupDiscoveryList' && name === 'apidiscovery.k8s.io' && version === 'v2',
  );
}

function wrap(body: object | undefined): { body: object } | undefined {
  return body === undefined ? undefined : { body };
}

function openIdConfiguration(serverAddress: string): object {
  return {
    issuer: SERVICE_ACCOUNT_ISSUER,
    jwks_uri: `https://${serverAddress}/openid/v1/jwks`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
  };
}
