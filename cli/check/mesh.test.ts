/** Each check of one cluster is made to fail by what it is for: objects, certificates and sockets are real, the API server runs in this process. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { ConfigMap, Pod, Secret } from '../../api/kubernetes-types.ts';
import { annotation, CLUSTER_ID_PROPERTY, component, object } from '../../api/names.ts';
import { makeServingCertificate } from '../../control-plane/serving-certificate.ts';
import { createIssuer, createTrustAnchor } from '../../identity/index.ts';
import { resources } from '../../kubernetes/resources.ts';
import { makeAnchor, privateKeyPem, x509 } from '../../workload-identity/testing/test-ca.ts';
import { CLOSED_PORT } from '../../test/testing/addresses.ts';
import type { CheckOptions } from './facts.ts';
import { Changes } from './testing/changes.ts';
import { Cleanups } from './testing/api-server.ts';
import { renewed } from './testing/node.ts';
import { meshedPod, MESH, SEQUENCE, startTestMesh, type TestMesh } from './testing/test-mesh.ts';
import { fails as failing, optionsFor, verdictOf } from './testing/verdicts.ts';

const DAY_MS = 24 * 3_600_000;
const STRANGERS = '203.0.113.9';

suite('checks of an installed mesh', () => {
  const cleanups = new Cleanups();
  let mesh: TestMesh;

  before(async () => {
    mesh = await startTestMesh(cleanups, 'east');
    for (const name of ['web', 'plain']) await mesh.namespace(name);
    await mesh.client.create(resources.configMaps, rootsOf('web', mesh.anchor.certificate));
    await mesh.meshedPod('web', 'web-1');
  });
  after(() => cleanups.run());

  /** Makes the check fail by a change, which is taken back. */
  function fails(
    id: string,
    result: 'error' | 'warning',
    says: RegExp | readonly RegExp[],
    change: (changes: Changes) => Promise<Partial<CheckOptions> | void>,
  ): void {
    void test(`${id}: ${result}`, async () => {
      const changes = new Changes(mesh.client);
      const well = optionsFor(mesh.server);
      try {
        await failing(id, result, says instanceof RegExp ? [says] : says, {
          well,
          unwell: async () => ({ ...well, ...(await change(changes)) }),
        });
      } finally {
        await changes.undo();
      }
    });
  }

  const withSecret = (changes: Changes, name: string, data: Record<string, string>): Promise<void> =>
    changes.edit(resources.secrets, MESH, name, (secret: Secret) => {
      for (const [key, text] of Object.entries(data))
        (secret.data ??= {})[key] = Buffer.from(text).toString('base64');
    });
  const withAnchors = (changes: Changes, pem: string): Promise<void> =>
    changes.edit(resources.configMaps, MESH, object.trustRootsConfigMap, (map) => {
      map.data = { [object.trustRootsKey]: pem };
    });
  const withValues = (changes: Changes, edit: (values: Record<string, unknown>) => void): Promise<void> =>
    changes.edit(resources.configMaps, MESH, object.configMap, (map) => {
      const values = JSON.parse(map.data?.[object.configKey] ?? '') as Record<string, unknown>;
      edit(values);
      map.data = { ...map.data, [object.configKey]: JSON.stringify(values) };
    });

  suite('isthmus-existence', () => {
    fails('mesh-config', 'error', /no ConfigMap isthmus-config in namespace elsewhere/, async () => ({
      meshNamespace: 'elsewhere',
    }));
    fails('mesh-scheduled', 'error', /isthmus\/isthmus-gateway-1: 0\/1 nodes are available/, (changes) =>
      changes.edit(resources.pods, MESH, 'isthmus-gateway-1', (pod) => {
        const message = '0/1 nodes are available';
        pod.status = { ...pod.status, conditions: [{ type: 'PodScheduled', status: 'False', message }] };
      }),
    );
    for (const [id, name] of [
      ['control-plane-ready', component.controlPlane],
      ['mirror-controller-ready', component.mirrorController],
      ['gateway-ready', component.gateway],
    ] as const) {
      fails(id, 'error', new RegExp(`${name}: none of 1 replicas`), (changes) =>
        changes.edit(resources.deployments, MESH, name, (deployment) => {
          deployment.status = { ...deployment.status, availableReplicas: 0 };
        }),
      );
    }
    test('a Deployment that is scaled to nothing is an error, one that is short of replicas a warning', async () => {
      const changes = new Changes(mesh.client);
      const scaled = async (replicas: number): Promise<string> => {
        await changes.edit(resources.deployments, MESH, component.gateway, (deployment) => {
          if (deployment.spec !== undefined) deployment.spec.replicas = replicas;
        });
        const verdict = await verdictOf('gateway-ready', optionsFor(mesh.server));
        await changes.undo();
        return verdict.result === 'success' ? '' : `${verdict.result} ${verdict.message}`;
      };
      assert.match(await scaled(0), /^error .*scaled to 0/);
      assert.match(await scaled(3), /^warning .*1 of 3 replicas/);
    });
    fails('mesh-services', 'error', /isthmus-policy: no ready endpoint/, (changes) =>
      changes.edit(resources.endpointSlices, MESH, component.policy, (slice) => {
        slice.endpoints = [{ addresses: ['127.0.0.1'], conditions: { ready: false } }];
      }),
    );
    fails('cluster-networks', 'warning', /plain\/p: 203\.0\.113\.9/, (changes) =>
      changes.add(resources.pods, plainPod({ status: { podIP: STRANGERS, podIPs: [{ ip: STRANGERS }] } })),
    );
  });

  suite('isthmus-config', () => {
    fails('crds', 'error', /links\.isthmus\.dev: v1alpha1 is not served/, (changes) =>
      changes.edit(resources.customResourceDefinitions, undefined, 'links.isthmus.dev', (crd) => {
        const [version] = crd.spec.versions;
        assert.ok(version !== undefined);
        crd.spec.versions = [
          { ...version, name: 'v9' },
          { ...version, served: false, storage: false },
        ];
      }),
    );
    fails('crd-schema', 'warning', /links\.isthmus\.dev: v1alpha1\..*probe differs/, (changes) =>
      changes.edit(resources.customResourceDefinitions, undefined, 'links.isthmus.dev', (crd) => {
        const schema = crd.spec.versions[0]?.schema?.openAPIV3Schema as {
          properties: { spec: { properties: Record<string, unknown> } };
        };
        delete schema.properties.spec.properties['probe'];
      }),
    );
    fails(
      'policies',
      'warning',
      /AuthorizationPolicy plain\/p: .*MeshTLSAuthentication.* does not exist/,
      (changes) =>
        changes.add(resources.authorizationPolicies, {
          metadata: { name: 'p', namespace: 'plain' },
          spec: {
            targetRef: { kind: 'Namespace', name: 'plain' },
            requiredAuthenticationRefs: [
              { group: 'policy.linkerd.io', kind: 'MeshTLSAuthentication', name: 'none' },
            ],
          },
        }),
    );
    fails('service-accounts', 'error', /isthmus-gateway/, (changes) =>
      changes.remove(resources.serviceAccounts, MESH, component.gateway),
    );
    fails('permissions', 'error', /isthmus-control-plane may not list pods/, (changes) =>
      changes.remove(resources.clusterRoleBindings, undefined, component.controlPlane),
    );
    fails('webhook-config', 'error', /injector\.isthmus\.dev\.failurePolicy is not as it was/, (changes) =>
      changes.edit(resources.mutatingWebhookConfigurations, undefined, object.injectorWebhook, (config) => {
        for (const hook of config.webhooks ?? []) hook.failurePolicy = 'Fail';
      }),
    );
    fails('cluster-id', 'error', /says "north", the mesh was installed as "east"/, (changes) =>
      changes.edit(resources.clusterProperties, undefined, CLUSTER_ID_PROPERTY, (property) => {
        property.spec = { value: 'north' };
      }),
    );
  });

  suite('isthmus-identity', () => {
    fails('anchors-config', 'error', /holds no trust anchor/, (changes) => withAnchors(changes, ''));
    fails('anchors-algorithm', 'error', /key of type rsa 1024/, async (changes) =>
      withAnchors(changes, await weakAnchor()),
    );
    fails('anchors-valid', 'error', /trust anchor CN=old expired at 20/, async (changes) => {
      const old = await makeAnchor('old', {
        notBefore: Date.now() - 9 * DAY_MS,
        notAfter: Date.now() - DAY_MS,
      });
      await withAnchors(changes, old.pem);
    });
    fails('anchors-lasting', 'warning', /trust anchor CN=root\S* ends at .*, in 49 days/, async (changes) => {
      const now = Date.now();
      const ending = await makeAnchor('root', {
        notBefore: now - 365 * DAY_MS,
        notAfter: now + 49.5 * DAY_MS,
      });
      await withAnchors(changes, ending.pem);
    });
    fails('anchors-everywhere', 'error', /ConfigMap web\/isthmus-identity-trust-roots/, async (changes) => {
      const { certificate } = await createTrustAnchor();
      await changes.edit(resources.configMaps, 'web', object.trustRootsConfigMap, (map) => {
        map.data = { [object.trustRootsKey]: certificate };
      });
    });
    test('a meshed namespace without trust anchors is an error', async () => {
      const changes = new Changes(mesh.client);
      await changes.remove(resources.configMaps, 'web', object.trustRootsConfigMap);
      const verdict = await verdictOf('anchors-everywhere', optionsFor(mesh.server));
      await changes.undo();
      assert.match(verdict.result === 'error' ? verdict.message : '', /namespace web: no ConfigMap/);
    });
    fails(
      'issuer-config',
      'error',
      /tls\.crt of Secret isthmus-identity-issuer is no certificate/,
      (changes) => withSecret(changes, object.issuerSecret, { 'tls.crt': 'none' }),
    );
    fails('issuer-algorithm', 'error', /issuer .* has a key of type rsa 1024/, async (changes) =>
      withSecret(changes, object.issuerSecret, { 'tls.crt': await weakAnchor() }),
    );
    fails('issuer-valid', 'error', /expired at 20/, async (changes) =>
      withSecret(
        changes,
        object.issuerSecret,
        await issuer({ now: Date.now() - 9 * DAY_MS, lifetimeMs: DAY_MS }),
      ),
    );
    fails('issuer-lasting', 'warning', /ends at .*, in 24 days/, async (changes) =>
      withSecret(
        changes,
        object.issuerSecret,
        await issuer({ now: Date.now() - 100 * DAY_MS, lifetimeMs: 125 * DAY_MS - DAY_MS / 2 }),
      ),
    );
    fails('issuer-anchored', 'error', /does not chain to a current trust anchor/, async (changes) => {
      const anchor = await createTrustAnchor();
      await withSecret(changes, object.issuerSecret, await issuer({ anchor }));
    });
    test('an issuer for another cluster, and one with another key, is an error', async () => {
      const changes = new Changes(mesh.client);
      for (const [data, says] of [
        [await issuer({ clusterId: 'west' }), /certified for west\.cluster\.identity/],
        [{ 'tls.key': (await issuer({}))['tls.key'] ?? '' }, /not the key of tls\.crt/],
      ] as const) {
        await withSecret(changes, object.issuerSecret, data);
        const verdict = await verdictOf('issuer-anchored', optionsFor(mesh.server));
        await changes.undo();
        assert.match(verdict.result === 'error' ? verdict.message : '', says);
      }
    });
    fails('trust-acknowledged', 'error', /2 of 3 meshed pods/, (changes) =>
      changes.edit(resources.trustBundles, undefined, object.trustBundle, ({ status }) => {
        for (const condition of status?.conditions ?? [])
          Object.assign(condition, { status: 'False', message: '2 of 3 meshed pods have' });
      }),
    );
  });

  suite('versions', () => {
    fails('cli-version', 'warning', /expected was 9\.9\.9/, async () => ({ expectedVersion: '9.9.9' }));
    fails('control-plane-version', 'error', /has no tag/, (changes) =>
      withValues(changes, (values) => (values['image'] = 'registry.test:5000/isthmus')),
    );
    fails('control-plane-cli-version', 'warning', /control plane is of version 0\.0\.1/, (changes) =>
      withValues(changes, (values) => (values['image'] = 'isthmus.dev/isthmus:0.0.1')),
    );
    fails('components-version', 'warning', /isthmus-gateway-1: isthmus\.dev\/isthmus:0\.0\.1/, (changes) =>
      changes.edit(resources.pods, MESH, 'isthmus-gateway-1', (pod) => {
        for (const container of pod.spec?.containers ?? []) container.image = 'isthmus.dev/isthmus:0.0.1';
      }),
    );
    fails('ha-replicas', 'warning', /control plane: 1/, (changes) =>
      withValues(changes, (values) => (values['highAvailability'] = true)),
    );
  });

  suite('isthmus-data-plane', () => {
    fails('proxy-missing', 'warning', /plain\/p/, async (changes) => {
      await changes.add(resources.pods, plainPod({}));
      await changes.edit(resources.namespaces, undefined, 'plain', (namespace) => {
        namespace.metadata = { ...namespace.metadata, annotations: { [annotation.inject]: 'enabled' } };
      });
    });
    fails('proxy-namespace', 'error', /no namespace nowhere/, async () => ({
      dataPlaneNamespace: 'nowhere',
    }));
    fails('proxy-ready', 'error', /web\/web-1/, (changes) =>
      changes.edit(resources.pods, 'web', 'web-1', (pod) => {
        for (const status of pod.status?.initContainerStatuses ?? []) status.ready = false;
      }),
    );
    fails('proxy-version', 'warning', /not of version 0\.1\.0.*\n.*web\/web-1: 0\.0\.1/, (changes) =>
      changes.edit(resources.pods, 'web', 'web-1', (pod) => {
        pod.metadata = { ...pod.metadata, annotations: { [annotation.proxyVersion]: '0.0.1' } };
      }),
    );
    fails(
      'proxy-labels',
      'warning',
      [
        /Namespace plain: label linkerd\.io\/inject/,
        /Service plain\/s: annotation mirror\.linkerd\.io\/exported/,
      ],
      async (changes) => {
        await changes.edit(resources.namespaces, undefined, 'plain', (namespace) => {
          namespace.metadata = { ...namespace.metadata, labels: { 'linkerd.io/inject': 'enabled' } };
        });
        await changes.add(resources.services, {
          metadata: { name: 's', namespace: 'plain', annotations: { 'mirror.linkerd.io/exported': 'true' } },
          spec: { ports: [{ port: 80 }] },
        });
      },
    );
    test('of another namespace nothing is told', async () => {
      const changes = new Changes(mesh.client);
      await changes.edit(resources.pods, 'web', 'web-1', (pod) => {
        for (const status of pod.status?.initContainerStatuses ?? []) status.ready = false;
      });
      const other = await verdictOf('proxy-ready', optionsFor(mesh.server, { dataPlaneNamespace: 'plain' }));
      await changes.undo();
      assert.equal(other.result, 'success');
    });
  });

  suite('isthmus-identity-data-plane', () => {
    const toldSo = async (told: Partial<TestMesh['told']>): Promise<void> => {
      Object.assign(mesh.told, told);
    };
    const right = (): TestMesh['told'] => ({ sequence: SEQUENCE, certificateEnd: Date.now() + DAY_MS });
    after(() => toldSo(right()));

    fails('proxy-certificates', 'error', /web\/web-1: it uses trust bundle 6, and 7 is in force/, () =>
      toldSo({ sequence: 6 }),
    );
    test('back to what is right', () => toldSo(right()));
    fails('component-certificates', 'error', /isthmus-gateway-1: its certificate expired at 20/, () =>
      toldSo({ certificateEnd: Date.now() - DAY_MS }),
    );
    test('a certificate that is not renewed, and a pod that does not answer, are warnings', async () => {
      await toldSo({ certificateEnd: Date.now() + DAY_MS / 12 });
      const ending = await verdictOf('proxy-certificates', optionsFor(mesh.server));
      assert.match(
        ending.result === 'warning' ? ending.message : '',
        /web-1: its certificate is not being renewed/,
      );
      await toldSo(right());
      const changes = new Changes(mesh.client);
      await changes.add(resources.pods, meshedPod('web', 'silent', CLOSED_PORT));
      const silent = await verdictOf('proxy-certificates', optionsFor(mesh.server));
      await changes.undo();
      assert.match(
        silent.result === 'warning' ? silent.message : '',
        /web\/silent does not answer: .*ECONNREFUSED/,
      );
    });
    test('who may not ask pods is told so, by a warning', async () => {
      const viewer = mesh.server.withToken(await mesh.server.token('plain', 'viewer'));
      const changes = new Changes(mesh.client);
      await changes.add(resources.clusterRoles, {
        metadata: { name: 'reader' },
        rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['list'] }, READ_BUNDLE],
      });
      await changes.add(resources.clusterRoleBindings, {
        metadata: { name: 'reader' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
        subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace: 'plain' }],
      });
      const verdict = await verdictOf('proxy-certificates', optionsFor(viewer));
      await changes.undo();
      assert.match(verdict.result === 'warning' ? verdict.message : '', /cannot be asked: .*pods\/proxy/);
    });
  });

  suite('isthmus-multicluster, of this cluster', () => {
    fails('gateway-address', 'warning', /no load-balancer address/, (changes) =>
      changes.edit(resources.services, MESH, component.gateway, (service) => {
        service.status = { loadBalancer: {} };
      }),
    );
    fails('mirror-controller-leads', 'error', /mirror-1 has not renewed its Lease for 1\d\d s/, (changes) =>
      changes.edit(resources.leases, MESH, component.mirrorController, (lease) => {
        lease.spec = { ...lease.spec, renewTime: renewed(120_000) };
      }),
    );
  });

  // The last: the webhook ends with the first of them.
  suite('isthmus-webhooks-and-apisvc-tls', () => {
    fails('injector-works', 'error', /did not get a sidecar from the webhook/, () => mesh.injector.stop());
    fails(
      'injector-cert',
      'error',
      /the caBundle has no CA that signed .*\n\* injector\.isthmus\.dev/,
      (changes) =>
        changes.edit(resources.mutatingWebhookConfigurations, undefined, object.injectorWebhook, (config) => {
          for (const hook of config.webhooks ?? [])
            hook.clientConfig.caBundle = Buffer.from(mesh.anchor.certificate).toString('base64');
        }),
    );
    test('a serving certificate that has expired, or is for another name, is an error', async () => {
      const host = `${component.injector}.${MESH}.svc`;
      const now = Date.now();
      for (const [dnsNames, notAfter, says] of [
        [[host], now - DAY_MS, /expired at 20/],
        [['other.svc'], now + DAY_MS, /is not for isthmus-injector\.isthmus\.svc/],
      ] as const) {
        const made = makeServingCertificate({ dnsNames, notBefore: now - 9 * DAY_MS, notAfter });
        const changes = new Changes(mesh.client);
        await withSecret(changes, object.injectorTlsSecret, {
          'tls.crt': made.certificate,
          'tls.key': made.key,
        });
        const verdict = await verdictOf('injector-cert', optionsFor(mesh.server));
        await changes.undo();
        assert.match(verdict.result === 'error' ? verdict.message : '', says);
      }
    });
    fails('injector-cert-lasting', 'warning', /ends at .*, in 9 days/, async (changes) => {
      const now = Date.now();
      const { certificate } = makeServingCertificate({
        dnsNames: ['any'],
        notBefore: now - 80 * DAY_MS,
        notAfter: now + 9.5 * DAY_MS,
      });
      await withSecret(changes, object.injectorTlsSecret, { 'tls.crt': certificate });
    });
  });

  async function issuer(
    options: Partial<Parameters<typeof createIssuer>[0]>,
  ): Promise<{ 'tls.crt': string; 'tls.key': string }> {
    const anchor = options.anchor ?? (await agedAnchor());
    const made = await createIssuer({ anchor, clusterId: 'east', trustDomain: 'cluster.local', ...options });
    return { 'tls.crt': made.certificate, 'tls.key': made.key };
  }

  async function agedAnchor(): Promise<{ certificate: string; key: string }> {
    const made = await makeAnchor('aged', { notBefore: Date.now() - 365 * DAY_MS });
    return { certificate: made.pem, key: await privateKeyPem(made) };
  }
});

const READ_BUNDLE = { apiGroups: ['isthmus.dev'], resources: ['trustbundles'], verbs: ['get'] };

function rootsOf(namespace: string, pem: string): ConfigMap {
  return {
    metadata: { name: object.trustRootsConfigMap, namespace },
    data: { [object.trustRootsKey]: pem },
  };
}

/** A CA with a key that was good in its time. */
async function weakAnchor(): Promise<string> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 1024,
  };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=weak',
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
  });
  return made.toString('pem');
}

function plainPod(more: Partial<Pod>): Pod {
  return {
    metadata: { name: 'p', namespace: 'plain' },
    spec: { automountServiceAccountToken: false, containers: [{ name: 'app', image: 'i' }] },
    ...more,
  };
}
