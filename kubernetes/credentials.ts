import * as yaml from 'js-yaml';
import type { ClientConfig } from './types.ts';

/** A kubeconfig was refused; the message names the field and never holds a value of it. */
export class CredentialsError extends Error {
  readonly field: string | undefined;

  constructor(message: string, field?: string) {
    super(message);
    this.name = 'CredentialsError';
    this.field = field;
  }
}

/** A Link's kubeconfig is a few kB. */
const MAX_BYTES = 256 * 1024;

type Fields = Record<string, unknown>;

/** What a field of a kubeconfig may be: all else is refused by name, since a kubeconfig can name programs, files and proxies. */
const ALLOWED = {
  top: new Set(['apiVersion', 'kind', 'preferences', 'clusters', 'contexts', 'current-context', 'users']),
  entry: {
    clusters: new Set(['name', 'cluster']),
    contexts: new Set(['name', 'context']),
    users: new Set(['name', 'user']),
  },
  cluster: new Set(['server', 'certificate-authority-data']),
  context: new Set(['cluster', 'user', 'namespace']),
  user: new Set(['token', 'client-certificate-data', 'client-key-data']),
} as const;

/**
 * How to reach a linked cluster, out of the kubeconfig in its Secret. Only an https server, CA data, and an inline token or client
 * certificate are taken. Throws a `CredentialsError` for anything else in it (`exec`, `auth-provider`, `tokenFile`, paths, proxies,
 * `insecure-skip-tls-verify`, …), wherever it stands.
 */
export function linkCredentials(kubeconfig: string): ClientConfig {
  return inlineCredentials(parse(kubeconfig));
}

/** As `linkCredentials`, out of a kubeconfig that has been read. */
export function inlineCredentials(kubeconfig: Readonly<Record<string, unknown>>): ClientConfig {
  const config: Fields = kubeconfig;
  refuseUnknown(config, ALLOWED.top, '');
  const clusters = entries(config, 'clusters', 'cluster', ALLOWED.cluster);
  const contexts = entries(config, 'contexts', 'context', ALLOWED.context);
  const users = entries(config, 'users', 'user', ALLOWED.user);
  const context = named(contexts, text(config['current-context'], 'current-context'), 'context');
  const cluster = named(clusters, text(context['cluster'], 'context.cluster'), 'cluster');
  const user = named(users, text(context['user'], 'context.user'), 'user');
  return { server: server(cluster), ...certificateAuthority(cluster), auth: authentication(user) };
}

function parse(kubeconfig: string): Fields {
  if (kubeconfig.length > MAX_BYTES)
    throw new CredentialsError(`the kubeconfig is larger than ${MAX_BYTES} bytes`);
  let value: unknown;
  try {
    value = yaml.load(kubeconfig);
  } catch {
    // The parser's message quotes the text, which holds the credential.
    throw new CredentialsError('the kubeconfig is not YAML');
  }
  return fields(value, 'the kubeconfig');
}

function refuseUnknown(object: Fields, allowed: ReadonlySet<string>, path: string): void {
  for (const key of Object.keys(object)) {
    if (allowed.has(key)) continue;
    const field = `${path}${key}`;
    throw new CredentialsError(
      `the kubeconfig's field "${field}" is refused: a link takes only an https server, certificate-authority-data, and a token or client-certificate-data with client-key-data`,
      field,
    );
  }
}

function entries(
  config: Fields,
  list: keyof typeof ALLOWED.entry,
  inner: string,
  allowed: ReadonlySet<string>,
): Map<string, Fields> {
  const found = new Map<string, Fields>();
  const items = config[list] ?? [];
  if (!Array.isArray(items)) throw new CredentialsError(`the kubeconfig's "${list}" is not a list`, list);
  for (const [index, item] of items.entries()) {
    const path = `${list}[${index}]`;
    const entry = fields(item, path);
    refuseUnknown(entry, ALLOWED.entry[list], `${path}.`);
    const body = fields(entry[inner], `${path}.${inner}`);
    refuseUnknown(body, allowed, `${path}.${inner}.`);
    found.set(text(entry['name'], `${path}.name`), body);
  }
  return found;
}

function named(found: ReadonlyMap<string, Fields>, name: string, what: string): Fields {
  const entry = found.get(name);
  if (entry === undefined) throw new CredentialsError(`the kubeconfig has no ${what} "${name}"`, what);
  return entry;
}

function server(cluster: Fields): string {
  const value = text(cluster['server'], 'cluster.server');
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const plain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url?.protocol !== 'https:' || !plain) {
    throw new CredentialsError(
      'the kubeconfig\'s "server" must be an https URL without user, query or fragment',
      'server',
    );
  }
  return value.replace(/\/+$/, '');
}

function certificateAuthority(cluster: Fields): { ca?: string } {
  if (cluster['certificate-authority-data'] === undefined) return {};
  return { ca: pem(cluster['certificate-authority-data'], 'certificate-authority-data') };
}

function authentication(user: Fields): NonNullable<ClientConfig['auth']> {
  const token = user['token'];
  const certificate = user['client-certificate-data'];
  const key = user['client-key-data'];
  if (token !== undefined && (certificate !== undefined || key !== undefined)) {
    throw new CredentialsError("the kubeconfig's user has both a token and a client certificate", 'user');
  }
  if (token !== undefined) {
    const value = text(token, 'user.token');
    if (!/^[\x21-\x7e]+$/.test(value)) {
      throw new CredentialsError(
        'the kubeconfig\'s "user.token" has characters that no token has',
        'user.token',
      );
    }
    return { kind: 'token', token: () => value };
  }
  if (certificate === undefined && key === undefined) {
    throw new CredentialsError("the kubeconfig's user has neither a token nor a client certificate", 'user');
  }
  return {
    kind: 'certificate',
    cert: pem(certificate, 'client-certificate-data'),
    key: pem(key, 'client-key-data'),
  };
}

function pem(value: unknown, field: string): string {
  const decoded = Buffer.from(text(value, field), 'base64').toString('latin1');
  if (decoded.includes('-----BEGIN ')) return decoded;
  throw new CredentialsError(`the kubeconfig's "${field}" is not PEM in base64`, field);
}

function fields(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new CredentialsError(`${what} is not a map`, what);
}

function text(value: unknown, field: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new CredentialsError(`the kubeconfig's "${field}" is missing or not a string`, field);
}
