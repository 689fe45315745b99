import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as yaml from 'js-yaml';
import { CredentialsError, linkCredentials } from './credentials.ts';

const b64 = (text: string): string => Buffer.from(text).toString('base64');
const PEM = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';

interface Parts {
  cluster?: Record<string, unknown>;
  user?: Record<string, unknown>;
  context?: Record<string, unknown>;
  top?: Record<string, unknown>;
}

function kubeconfig({
  cluster = {},
  user = { token: 's3cret' },
  context = {},
  top = {},
}: Parts = {}): string {
  return yaml.dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'c',
        cluster: { server: 'https://10.0.0.1:6443/', 'certificate-authority-data': b64(PEM), ...cluster },
      },
    ],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...context } }],
    'current-context': 'x',
    ...top,
  });
}

test('server, CA and token are taken', async () => {
  const config = linkCredentials(kubeconfig());
  assert.equal(config.server, 'https://10.0.0.1:6443');
  assert.equal(config.ca, PEM);
  assert.equal(config.auth?.kind === 'token' && (await config.auth.token()), 's3cret');
});

test('a client certificate is taken', () => {
  const user = { 'client-certificate-data': b64(PEM), 'client-key-data': b64(PEM) };
  assert.deepEqual(linkCredentials(kubeconfig({ user })).auth, { kind: 'certificate', cert: PEM, key: PEM });
});

const refused: [field: string, parts: Parts][] = [
  ['users[0].user.exec', { user: { token: 's3cret', exec: { command: 'sh' } } }],
  ['users[0].user.auth-provider', { user: { 'auth-provider': { name: 'oidc' } } }],
  ['users[0].user.tokenFile', { user: { tokenFile: '/etc/passwd' } }],
  ['users[0].user.client-certificate', { user: { 'client-certificate': '/a' } }],
  ['users[0].user.client-key', { user: { 'client-key': '/a' } }],
  ['users[0].user.username', { user: { username: 'a', password: 'b' } }],
  ['users[0].user.as', { user: { token: 's3cret', as: 'admin' } }],
  ['clusters[0].cluster.insecure-skip-tls-verify', { cluster: { 'insecure-skip-tls-verify': true } }],
  ['clusters[0].cluster.certificate-authority', { cluster: { 'certificate-authority': '/ca' } }],
  ['clusters[0].cluster.proxy-url', { cluster: { 'proxy-url': 'http://p' } }],
  ['clusters[0].cluster.tls-server-name', { cluster: { 'tls-server-name': 'x' } }],
  ['contexts[0].context.extensions', { context: { extensions: [] } }],
  ['extensions', { top: { extensions: [] } }],
];

for (const [field, parts] of refused) {
  test(`${field} is refused by name`, () => {
    assert.throws(
      () => linkCredentials(kubeconfig(parts)),
      (error) => {
        assert.ok(error instanceof CredentialsError);
        assert.equal(error.field, field);
        assert.ok(error.message.includes(`"${field}" is refused`));
        return true;
      },
    );
  });
}

const wrong: [name: string, text: string, message: RegExp][] = [
  ['http', kubeconfig({ cluster: { server: 'http://10.0.0.1' } }), /"server" must be an https URL/],
  ['a user in the URL', kubeconfig({ cluster: { server: 'https://u:s3cret@h' } }), /"server" must be/],
  ['no credential', kubeconfig({ user: {} }), /neither a token nor a client certificate/],
  [
    'half a certificate',
    kubeconfig({ user: { 'client-certificate-data': b64(PEM) } }),
    /"client-key-data" is missing/,
  ],
  [
    'two credentials',
    kubeconfig({ user: { token: 's3cret', 'client-key-data': b64(PEM) } }),
    /both a token and/,
  ],
  [
    'a CA that is none',
    kubeconfig({ cluster: { 'certificate-authority-data': 's3cret' } }),
    /is not PEM in base64/,
  ],
  [
    'a token with a line break',
    kubeconfig({ user: { token: 's3cret\r\nx: y' } }),
    /characters that no token has/,
  ],
  ['a context that is not there', kubeconfig({ top: { 'current-context': 'y' } }), /has no context "y"/],
  ['no YAML', 'a: [s3cret', /is not YAML/],
  ['no map', '- s3cret', /the kubeconfig is not a map/],
  ['clusters that are no list', kubeconfig({ top: { clusters: 's3cret' } }), /"clusters" is not a list/],
];

for (const [name, text, message] of wrong) {
  test(`${name}: a clear error without the credential in it`, () => {
    assert.throws(
      () => linkCredentials(text),
      (error) => {
        assert.ok(error instanceof CredentialsError);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /s3cret/);
        return true;
      },
    );
  });
}
