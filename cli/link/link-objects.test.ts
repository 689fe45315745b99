import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '../../api/isthmus-types.ts';
import type { Role, Secret } from '../../api/kubernetes-types.ts';
import { linkCredentials } from '../../kubernetes/credentials.ts';
import { LINK_SECRET_TYPE, linkSecretName, sourceObjects, targetObjects } from './link-objects.ts';

const CA = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const target = {
  clusterId: 'west',
  clusterDomain: 'cluster.local',
  trustDomain: 'example.org',
  meshNamespace: 'mesh',
  server: 'https://west:6443',
  ca: CA,
  token: 'a.b.c',
};

function objectsOf(more: { gatewayAddresses?: string[] } = {}): { secret: Secret; link: Link } {
  const [secret, link] = sourceObjects({ ...target, ...more }, 'mesh');
  return { secret: secret as Secret, link: link as Link };
}

test("the mirror controller's allow-list takes the kubeconfig of a link", async () => {
  const { secret } = objectsOf();
  assert.equal(secret.type, LINK_SECRET_TYPE);
  const kubeconfig = Buffer.from(secret.data?.['kubeconfig'] ?? '', 'base64').toString();
  const { server, ca, auth } = linkCredentials(kubeconfig);
  assert.deepEqual([server, ca], [target.server, CA]);
  assert.equal(auth?.kind === 'token' ? await auth.token() : undefined, target.token);
});

test('the Link names its Secret, the gateway by identity, and mirrors what is exported', () => {
  const { secret, link } = objectsOf();
  assert.equal(link.metadata?.name, 'west');
  assert.equal(secret.metadata?.name, linkSecretName('west'));
  assert.equal(link.spec.clusterCredentialsSecret, secret.metadata?.name);
  assert.equal(
    link.spec.gateway.identity,
    'spiffe://example.org/cluster/west/ns/mesh/sa/isthmus-gateway',
    "the target's trust domain and namespace",
  );
  assert.equal(link.spec.gateway.addresses, undefined, 'the Service is followed');
  assert.equal(link.spec.gateway.port, undefined, 'its port too: a node port goes with nodes alone');
  assert.deepEqual(link.spec.selector, { matchLabels: { 'mirror.linkerd.io/exported': 'true' } });
  assert.ok(!JSON.stringify(link).includes(target.token));
});

test('fixed gateway addresses are taken over', () => {
  assert.deepEqual(objectsOf({ gatewayAddresses: ['gw.example'] }).link.spec.gateway.addresses, [
    'gw.example',
  ]);
});

test("the target's account may ask for tokens for itself and nobody else", () => {
  const roles = targetObjects('east', 'mesh').filter((o) => o.kind === 'Role') as Role[];
  assert.deepEqual(
    roles.flatMap((role) => role.rules),
    [
      {
        apiGroups: [''],
        resources: ['serviceaccounts/token'],
        resourceNames: ['isthmus-link-east'],
        verbs: ['create'],
      },
    ],
  );
});
