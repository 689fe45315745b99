/** The checks of links, each made to fail by what it is for: a mirror controller runs in this process between two API servers and judges what is there. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, suite, test } from 'node:test';
import { Registry } from 'prom-client';
import type { Link } from '../../api/isthmus-types.ts';
import type { Service } from '../../api/kubernetes-types.ts';
import { CLUSTER_ID_PROPERTY, component, label } from '../../api/names.ts';
import { silentLog } from '../../kubernetes/log.ts';
import { resources } from '../../kubernetes/resources.ts';
import {
  configFromEnv,
  type MirrorController,
  startMirrorController,
} from '../../mirror-controller/index.ts';
import { makeAnchor, workload } from '../../workload-identity/testing/test-ca.ts';
import { applyCustomResourceDefinitions } from '../install/apply.ts';
import { customResourceDefinitions } from '../install/manifests.ts';
import { sourceObjects } from '../link/link-objects.ts';
import { CLOSED_PORT } from '../../test/testing/addresses.ts';
import type { CheckOptions } from './facts.ts';
import { Cleanups, startApiServer, type TestServer } from './testing/api-server.ts';
import { Changes } from './testing/changes.ts';
import { identityOf, startGateway } from './testing/gateway.ts';
import { optionsFor, verdictOf } from './testing/verdicts.ts';

const MESH = 'isthmus';
const DAY_S = 24 * 3_600;
/** A worker thread takes half a second to start; on a machine with much else to do a hundred times that. */
const UNTIL_MS = 240_000;

suite('checks of links', () => {
  const cleanups = new Cleanups();
  let east: TestServer;
  let west: TestServer;
  let controller: MirrorController;
  let token = '';
  const gateways = { own: 0, strange: 0 };

  before(async () => {
    [east, west] = await Promise.all([cluster('east'), cluster('west')]);
    token = await west.token(MESH, 'isthmus-link-east');
    await grant(west);
    const anchor = await makeAnchor();
    const stranger = await makeAnchor('another root');
    const gateway = workload(component.gateway, 'west', MESH);
    gateways.own = await startGateway(cleanups, await identityOf(cleanups, gateway, anchor));
    gateways.strange = await startGateway(cleanups, await identityOf(cleanups, gateway, stranger));
    const { server, ca = '', auth } = east.config;
    assert.ok(auth?.kind === 'certificate');
    controller = await startMirrorController({
      config: configFromEnv({
        ISTHMUS_CLUSTER_NAME: 'east',
        ISTHMUS_NAMESPACE: MESH,
        POD_NAME: 'mirror-1',
        POD_IP: '127.0.0.1',
        ISTHMUS_ADMIN_PORT: '0',
        ISTHMUS_LOG_LEVEL: 'silent',
      }),
      local: { server, ca, cert: auth.cert, key: auth.key },
      identity: await identityOf(cleanups, workload(component.mirrorController, 'east', MESH), anchor),
      resolve: () => Promise.reject(new Error('no names here')),
      registry: new Registry(),
      logger: silentLog,
      statusIntervalMs: 100,
    });
    cleanups.add(() => controller.stop());
    await west.client.create(resources.services, exported('web', 'default'));
    await west.client.create(resources.endpointSlices, {
      metadata: { name: 'web-1', namespace: 'default', labels: { [label.sliceServiceName]: 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['198.18.0.7'], conditions: { ready: true } }],
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    });
    await linked(new Changes(east.client), 'west', {});
    for (const id of ['links-valid', 'link-gateways', 'link-trust', 'link-synced', 'mirrors-endpoints'])
      await until(id, 'success');
  });
  after(() => cleanups.run());

  /** A cluster that knows the kinds of the mesh, and its own id. */
  async function cluster(name: string, aheadMs = 0): Promise<TestServer> {
    const server = await startApiServer(cleanups, name, aheadMs);
    await applyCustomResourceDefinitions(server.client, customResourceDefinitions());
    await server.client.create(resources.namespaces, { metadata: { name: MESH } });
    const property = { metadata: { name: CLUSTER_ID_PROPERTY }, spec: { value: name } };
    await server.client.create(resources.clusterProperties, property);
    return server;
  }

  /** Links east to a cluster as `isthmus link` does, with what is different. */
  async function linked(
    changes: Changes,
    name: string,
    different: { server?: TestServer; address?: string; token?: string; gatewayPort?: number },
  ): Promise<void> {
    const { server: target = west, gatewayPort = gateways.own } = different;
    const objects = sourceObjects(
      {
        clusterId: name,
        clusterDomain: 'cluster.local',
        trustDomain: 'cluster.local',
        meshNamespace: MESH,
        server: different.address ?? target.config.server,
        ca: target.config.ca,
        token: different.token ?? token,
        gatewayAddresses: ['127.0.0.1'],
      },
      MESH,
    );
    for (const object of objects) {
      if (object.kind === 'Secret') await changes.add(resources.secrets, object);
      else {
        const link = object as Link;
        link.spec.gateway.port = gatewayPort;
        link.spec.probe = { path: '/ready', periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 1 };
        await changes.add(resources.links, link);
      }
    }
  }

  /** Waits for the mirror controller to have judged, and to have said this. */
  async function until(id: string, result: 'success' | 'warning' | 'error', says = /(?:)/): Promise<void> {
    const deadline = performance.now() + UNTIL_MS;
    for (;;) {
      const verdict = await verdictOf(id, optionsFor(east));
      const message = verdict.result === 'success' ? '' : verdict.message;
      if (verdict.result === result && says.test(message)) return;
      if (performance.now() > deadline) assert.fail(`${id} stays ${JSON.stringify(verdict)}`);
      await delay(50);
    }
  }

  /** Makes the check, which is well, fail by a change. The change is taken back. */
  function fails(
    id: string,
    result: 'error' | 'warning',
    says: RegExp,
    change: (changes: Changes) => Promise<void>,
  ): void {
    void test(`${id}: ${result}`, async () => {
      const changes = new Changes(east.client);
      try {
        await until(id, 'success');
        await change(changes);
        await until(id, result, says);
      } finally {
        await changes.undo();
      }
    });
  }

  fails('links-valid', 'error', /link north: Synced is False: the credentials lead to cluster "west"/, (c) =>
    linked(c, 'north', {}),
  );
  fails(
    'link-credentials',
    'error',
    /link north: CredentialsValid is False: .*does not know the credential/,
    (c) => linked(c, 'north', { token: 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln' }),
  );
  fails('link-apis', 'error', /link north: ApiReachable is False/, (c) =>
    linked(c, 'north', { address: `https://127.0.0.1:${CLOSED_PORT}` }),
  );
  fails('link-synced', 'error', /link north: Synced is False: the target's API can not be followed/, (c) =>
    linked(c, 'north', { address: `https://127.0.0.1:${CLOSED_PORT}` }),
  );
  fails('link-stale', 'warning', /north: never/, (c) =>
    linked(c, 'north', { address: `https://127.0.0.1:${CLOSED_PORT}` }),
  );
  fails('link-gateways', 'error', /link north: GatewayAlive is False: .*ECONNREFUSED/, (c) =>
    linked(c, 'north', { gatewayPort: CLOSED_PORT }),
  );
  fails('link-trust', 'error', /link north: TrustShared is False: .*no trust anchor of this cluster/, (c) =>
    linked(c, 'north', { gatewayPort: gateways.strange }),
  );
  fails('exports-mirrored', 'warning', /elsewhere\/lost of west: .*namespace/, async () => {
    await west.client.create(resources.namespaces, { metadata: { name: 'elsewhere' } });
    await west.client.create(resources.services, exported('lost', 'elsewhere'));
  });
  test('an export that is taken back is no matter any more', async () => {
    await west.client.delete(resources.services, 'elsewhere', 'lost');
    await until('exports-mirrored', 'success');
  });
  fails('mirrors-endpoints', 'error', /default\/empty-west of west/, async () => {
    await west.client.create(resources.services, exported('empty', 'default'));
  });

  fails('link-credentials-lasting', 'warning', /credential of link north ends at .*, in 29 days/, (c) => {
    const now = Math.floor(Date.now() / 1000);
    return linked(c, 'north', { token: jwt({ iat: now - 300 * DAY_S, exp: now + 29.5 * DAY_S }) });
  });
  test('a credential that has expired is an error, one that is opaque tells no end', async () => {
    const changes = new Changes(east.client);
    const seconds = Math.floor(Date.now() / 1000);
    for (const [text, result] of [
      [jwt({ iat: seconds - 2 * DAY_S, exp: seconds - DAY_S }), 'error'],
      ['opaque', 'success'],
    ] as const) {
      await linked(changes, 'north', { token: text });
      const verdict = await verdictOf('link-credentials-lasting', optionsFor(east));
      await changes.undo();
      assert.equal(verdict.result, result);
    }
  });

  fails('link-clocks', 'error', /the clock of cluster north is [56]\d s ahead/, async (c) => {
    const north = await cluster('north', 60_000);
    await linked(c, 'north', { server: north, token: await north.token(MESH, 'isthmus-link-east') });
  });
  test("a target that only pods reach is asked by the person's own context; without one that is a warning", async () => {
    const changes = new Changes(east.client);
    await linked(changes, 'south', { address: `https://127.0.0.1:${CLOSED_PORT}` });
    const south = await cluster('south');
    const by = (openById: CheckOptions['openById']): Promise<{ result: string }> =>
      verdictOf('link-clocks', optionsFor(east, { openById }));
    const { config } = south;
    const reached = await by(async () => ({ context: 'south', config, client: south.another() }));
    const wrong = await by(async () => ({ context: 'south', config, client: west.another() }));
    const none = await verdictOf('link-clocks', optionsFor(east));
    await changes.undo();
    assert.deepEqual([reached.result, wrong.result, none.result], ['success', 'warning', 'warning']);
  });

  // The last: the mirror controller ends with it.
  fails('mirrors-linked', 'error', /default\/old-gone/, async (c) => {
    await controller.stop();
    const labels = {
      [label.mirroredService]: 'true',
      [label.mirrorCluster]: 'gone',
      [label.managedBy]: component.mirrorController,
    };
    await c.add(resources.services, {
      metadata: { name: 'old-gone', namespace: 'default', labels },
      spec: { ports: [{ port: 80 }] },
    });
  });
  test('what was heard of a target long ago is told with its age', async () => {
    const changes = new Changes(east.client);
    await changes.edit(resources.links, MESH, 'west', (link) => {
      link.status = { ...link.status, lastSyncTime: new Date(Date.now() - 600_000).toISOString() };
    });
    const verdict = await verdictOf('link-stale', optionsFor(east));
    assert.match(verdict.result === 'warning' ? verdict.message : '', /west: 10 minutes ago/);
  });
});

function exported(name: string, namespace: string): Service {
  return {
    metadata: { name, namespace, labels: { [label.exported]: 'true' } },
    spec: { ports: [{ name: 'http', port: 80 }] },
  };
}

/** A token with these claims, that nobody has signed. */
function jwt(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part(claims)}.${part({})}`;
}

/** What a link's account needs in the target. */
async function grant(target: TestServer): Promise<void> {
  await target.client.create(resources.clusterRoleBindings, {
    metadata: { name: 'isthmus-link-east' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'isthmus-link-east', namespace: MESH }],
  });
}
