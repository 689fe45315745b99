/** The checks of a cluster without a mesh, each made to fail by what it is for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createClient } from '../../kubernetes/client.ts';
import { resources } from '../../kubernetes/resources.ts';
import { openCluster } from '../cluster-access.ts';
import { applyCustomResourceDefinitions } from '../install/apply.ts';
import { customResourceDefinitions } from '../install/manifests.ts';
import { rbac } from '../install/rbac.ts';
import { installValues } from '../install/values.ts';
import { CLOSED_PORT } from '../../test/testing/addresses.ts';
import type { CheckOptions } from './facts.ts';
import { Cleanups, startApiServer, type TestServer } from './testing/api-server.ts';
import { nodeWithLease } from './testing/node.ts';
import { fails as failing, optionsFor, verdictOf } from './testing/verdicts.ts';

const MINUTE_MS = 60_000;

suite('checks of a cluster', () => {
  const cleanups = new Cleanups();
  let server: TestServer;

  before(async () => {
    server = await startApiServer(cleanups, 'bare');
  });
  after(() => cleanups.run());

  function fails(
    id: string,
    result: 'error' | 'warning',
    says: RegExp,
    unwell: () => Promise<CheckOptions>,
  ): void {
    void test(`${id}: ${result}`, () => failing(id, result, [says], { well: optionsFor(server), unwell }));
  }

  /** An account with these rights, and the check as it sees the cluster. */
  async function asAccount(name: string, rules: object[]): Promise<CheckOptions> {
    const token = await server.token('default', name);
    const post = (plural: string, body: object): Promise<unknown> =>
      server.client.raw('POST', `/apis/rbac.authorization.k8s.io/v1/${plural}`, {
        metadata: { name },
        ...body,
      });
    await post('clusterroles', { rules });
    await post('clusterrolebindings', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
    });
    return optionsFor(server.withToken(token));
  }

  async function addNode(name: string, kubelet: string, renewedAgoMs: number): Promise<void> {
    const { node, lease } = nodeWithLease(name, kubelet, renewedAgoMs);
    const made = await server.client.raw<object>('POST', '/api/v1/nodes', node);
    await server.client.raw('PUT', `/api/v1/nodes/${name}/status`, { ...made, status: node.status });
    await server.client.create(resources.leases, lease);
  }

  fails('k8s-client', 'error', /kubeconfig .*none cannot be read/, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'isthmus-check-'));
    cleanups.add(() => rm(dir, { recursive: true }));
    return { ...optionsFor(server), open: () => openCluster({ kubeconfig: join(dir, 'none') }) };
  });

  fails('k8s-api', 'error', /ECONNREFUSED/, () =>
    Promise.resolve(optionsAt(`http://127.0.0.1:${CLOSED_PORT}`)),
  );

  fails('k8s-credentials', 'error', /Unauthorized/, () =>
    Promise.resolve(optionsFor(server.withToken('eyJhbGciOiJSUzI1NiJ9.e30.c2ln'))),
  );

  fails('k8s-version', 'error', /is v1\.27\.3; the mesh needs 1\.29/, async () => {
    const old = createServer((_request, response) => {
      response.end(JSON.stringify({ major: '1', minor: '27+', gitVersion: 'v1.27.3' }));
    }).listen(0, '127.0.0.1');
    await once(old, 'listening');
    cleanups.add(() => old.close());
    return optionsAt(`http://127.0.0.1:${(old.address() as AddressInfo).port}`);
  });

  fails('k8s-kubelets', 'error', /old-node: kubelet v1\.28\.9/, async () => {
    await addNode('good-node', 'v1.29.0', 0);
    assert.deepEqual(await verdictOf('k8s-kubelets', optionsFor(server)), { result: 'success' });
    await addNode('old-node', 'v1.28.9', 0);
    return optionsFor(server);
  });

  fails('clock-local', 'error', /API server's clock is \d+ s ahead/, async () =>
    optionsFor(await startApiServer(cleanups, 'ahead', 2 * MINUTE_MS)),
  );
  test('a clock that is a little off is a warning', async () => {
    const behind = await startApiServer(cleanups, 'behind', -40_000);
    const verdict = await verdictOf('clock-local', optionsFor(behind));
    assert.match(verdict.result === 'warning' ? verdict.message : '', /\d+ s behind/);
  });

  fails('clock-nodes', 'warning', /early-node: \d+ s ahead, late-node: \d+ s behind/, async () => {
    await addNode('early-node', 'v1.30.0', -5 * MINUTE_MS);
    await addNode('late-node', 'v1.30.0', 5 * MINUTE_MS);
    return optionsFor(server);
  });

  fails('pre-create', 'error', /not allowed to create:\n(\* .*\n)*\* ClusterRole\n/, () =>
    asAccount('modest', [{ apiGroups: ['', 'apps'], resources: ['*'], verbs: ['*'] }]),
  );

  fails('pre-grant', 'error', /ClusterRole isthmus-control-plane: .*forbidden/, () =>
    asAccount('creator', [{ apiGroups: ['*'], resources: ['*'], verbs: ['create'] }]),
  );

  fails('pre-not-installed', 'error', /a mesh is installed in namespace elsewhere/, async () => {
    const values = installValues({ clusterName: 'x', meshNamespace: 'elsewhere' }, { embedded: true });
    for (const object of rbac(values)) {
      if (object.kind === 'ClusterRoleBinding')
        await server.client.create(resources.clusterRoleBindings, object);
    }
    return optionsFor(server);
  });

  fails('pre-crds', 'error', /clusterproperties\.about\.k8s\.io serves v9, not v1beta1/, async () => {
    const crd = customResourceDefinitions().find(({ spec }) => spec.group === 'about.k8s.io');
    assert.ok(crd !== undefined);
    crd.spec.versions = crd.spec.versions.filter(({ storage }) => storage);
    for (const version of crd.spec.versions) version.name = 'v9';
    await applyCustomResourceDefinitions(server.client, [crd]);
    return optionsFor(server);
  });

  function optionsAt(url: string): CheckOptions {
    const config = { server: url };
    const client = createClient(config);
    cleanups.add(() => client.close());
    return optionsFor({ context: 'other', config, client });
  }
});
