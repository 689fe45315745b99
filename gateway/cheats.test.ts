import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { port } from '../api/names.ts';
import { identitiesPolicy } from '../proxy/testing/mesh/fake-control-plane.ts';
import { metricSum, startApp, type TestApp } from '../proxy/testing/mesh/http.ts';
import { dialIsthmus, type RawAnswer } from '../proxy/testing/mesh/isthmus-client.ts';
import type { TestCluster, TestPod } from '../proxy/testing/mesh/test-mesh.ts';
import { makeIssuer, makeLeaf, privateKeyPem } from '../workload-identity/testing/test-ca.ts';
import { refusedLeaf } from './testing/refused-leaf.ts';
import { TARGET, twoClusters } from './testing/two-clusters.ts';

type Fields = readonly (readonly [string, string])[];

const { mesh, east, west, server, app, gateway } = await twoClusters();

/** An attacker speaks the protocol by hand, with whatever certificate it could get. Each test is a cheat that must come to nothing. */
describe('cheats', () => {
  const foreign = mesh.pod(east, 'attacker');
  const local = mesh.pod(west, 'attacker');
  let secret: TestApp;

  before(async () => {
    secret = await startApp(mesh, server.ip, (_incoming, response) => response.end('the secret'));
    west.controlPlane.setPolicy(secret.port, identitiesPolicy([mesh.pod(west, 'friend').dnsName]));
  });
  after(() => mesh.close());

  async function say(
    who: { cluster: TestCluster; pod: TestPod },
    to: TestPod,
    fields: Fields,
  ): Promise<RawAnswer> {
    const client = await dialIsthmus(await mesh.identity(who.cluster, who.pod), to);
    mesh.onClose(() => client.close());
    return client.ask(fields);
  }

  const get = (...fields: Fields): Fields => [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'web'],
    ...fields,
  ];
  const seenBy = (answer: RawAnswer): Record<string, string> =>
    JSON.parse(answer.body) as Record<string, string>;
  const attacker = () => ({ cluster: east, pod: foreign });
  const neighbour = () => ({ cluster: west, pod: local });

  describe('a pod of another cluster at the gateway', () => {
    test('names somebody else as the client', async () => {
      const answer = await say(
        attacker(),
        gateway,
        get([':isthmus-target', TARGET], [':isthmus-client', mesh.pod(east, 'admin').spiffeId]),
      );
      assert.equal(answer.status, 200);
      assert.equal(seenBy(answer)['l5d-client-id'], foreign.spiffeId);
    });

    test('writes the fields that only proxies write', async () => {
      const answer = await say(
        attacker(),
        gateway,
        get(
          [':isthmus-target', TARGET],
          ['l5d-client-id', 'admin'],
          ['forwarded', 'for=admin'],
          ['L5D-CLIENT-ID'.toLowerCase(), 'admin'],
        ),
      );
      assert.equal(answer.status, 200);
      const seen = seenBy(answer);
      assert.equal(seen['l5d-client-id'], foreign.spiffeId);
      assert.doesNotMatch(String(seen['forwarded']), /admin/);
    });

    const REFUSED: [string, Fields, number][] = [
      ['a port of the gateway’s own pod', [[':isthmus-port', '9']], 404],
      ['the gateway’s admin port', [[':isthmus-port', String(port.admin)]], 404],
      ['what is not exported', [[':isthmus-target', 'db.shop.svc.cluster.local:80']], 404],
      ['another port of what is exported', [[':isthmus-target', 'web.shop.svc.cluster.local:81']], 404],
      ['an exported name with a user before it', [[':isthmus-target', `x@${TARGET}`]], 404],
      ['an exported name with a path behind it', [[':isthmus-target', `${TARGET}/x`]], 404],
      ['an exported name with two ports', [[':isthmus-target', `${TARGET}:80`]], 404],
      ['an address', [[':isthmus-target', '127.0.0.1:80']], 404],
      ['no name', [[':isthmus-target', ':80']], 404],
      ['port 0', [[':isthmus-target', 'web.shop.svc.cluster.local:0']], 404],
      ['port 65536', [[':isthmus-target', 'web.shop.svc.cluster.local:65536']], 404],
      [
        'two targets',
        [
          [':isthmus-target', TARGET],
          [':isthmus-target', TARGET],
        ],
        400,
      ],
      [
        'an unknown pseudo-header',
        [
          [':isthmus-target', TARGET],
          [':isthmus-admin', 'yes'],
        ],
        400,
      ],
      [
        'a tunnel that is no CONNECT',
        [
          [':isthmus-target', TARGET],
          [':isthmus-protocol', 'tcp'],
        ],
        400,
      ],
    ];
    for (const [what, fields, status] of REFUSED) {
      test(`asks for ${what}`, async () => {
        const before = app.connections;
        const answer = await say(attacker(), gateway, get(...fields));
        assert.equal(answer.status, status);
        assert.equal(app.connections, before);
      });
    }

    test('puts pseudo-headers behind regular fields, where another parser would not look', async () => {
      const answer = await say(attacker(), gateway, get(['x', 'y'], [':isthmus-target', TARGET]));
      assert.equal(answer.status, 400);
    });

    test('sends a CONNECT as HTTP: no tunnel into a connection that others share', async () => {
      const fields: Fields = [
        [':method', 'CONNECT'],
        [':authority', TARGET],
        [':isthmus-target', TARGET],
        [':isthmus-protocol', 'http/1.1'],
      ];
      assert.equal((await say(attacker(), gateway, fields)).status, 400);
      const port80: Fields = fields.map(([name, value]) =>
        name === ':isthmus-target' ? [':isthmus-port', String(app.port)] : [name, value],
      );
      assert.equal((await say(attacker(), server, port80)).status, 400);
    });
  });

  describe('a pod of another cluster at a sidecar, past the gateway', () => {
    test('is seen as what it is, whomever it names', async () => {
      for (const name of [mesh.pod(west, 'friend').spiffeId, mesh.pod(east, 'admin').spiffeId]) {
        const fields = get([':isthmus-port', String(app.port)], [':isthmus-client', name]);
        assert.equal(seenBy(await say(attacker(), server, fields))['l5d-client-id'], foreign.spiffeId);
      }
    });

    test('has the name of a friend, in another cluster', async () => {
      const twin = { cluster: east, pod: mesh.pod(east, 'friend') };
      const answer = await say(twin, server, get([':isthmus-port', String(secret.port)]));
      assert.equal(answer.status, 403);
    });

    for (const number of [
      '0',
      '65536',
      '-1',
      '1e3',
      '+80',
      '080',
      '',
      '80 ',
      '4140',
      '4143',
      '4190',
      '4191',
    ]) {
      test(`names the port ${JSON.stringify(number)}`, async () => {
        const answer = await say(attacker(), server, get([':isthmus-port', number]));
        assert.ok([400, 403, 404].includes(answer.status), String(answer.status));
      });
    }
  });

  describe('a pod of the own cluster', () => {
    test('asks the gateway to launder who it is', async () => {
      const answer = await say(neighbour(), gateway, get([':isthmus-target', TARGET]));
      assert.equal(answer.status, 403);
    });

    test('claims to speak for a friend, or for somebody of another cluster', async () => {
      for (const name of [mesh.pod(west, 'friend').spiffeId, foreign.spiffeId]) {
        const fields = get([':isthmus-port', String(secret.port)], [':isthmus-client', name]);
        assert.equal((await say(neighbour(), server, fields)).status, 403);
      }
    });

    test('calls itself the gateway, in its own namespace', async () => {
      const named = { cluster: west, pod: mesh.pod(west, 'isthmus-gateway', 'shop') };
      const fields = get([':isthmus-port', String(app.port)], [':isthmus-client', foreign.spiffeId]);
      assert.equal(seenBy(await say(named, server, fields))['l5d-client-id'], named.pod.dnsName);
    });
  });

  describe('a stolen gateway of another cluster', () => {
    test('is believed by no sidecar here, and served by no gateway', async () => {
      const thief = { cluster: east, pod: mesh.gatewayPod(east) };
      const fields = get([':isthmus-port', String(secret.port)], [':isthmus-client', foreign.spiffeId]);
      assert.equal((await say(thief, server, fields)).status, 403);
      assert.equal((await say(thief, gateway, get([':isthmus-target', TARGET]))).status, 508);
    });
  });

  describe('a leaf of Linkerd', () => {
    /** By an issuer that is bound to no cluster. */
    async function linkerd(pod: TestPod, to: TestPod) {
      const issuer = await makeIssuer(mesh.anchor, '', { dns: ['identity.linkerd.cluster.local'], uri: [] });
      const leaf = await makeLeaf(issuer, pod.names, { uri: [] });
      const client = await dialIsthmus(
        { key: await privateKeyPem(leaf), cert: leaf.pem + issuer.pem, ca: mesh.anchor.pem },
        to,
      );
      mesh.onClose(() => client.close());
      return client;
    }

    test('is not served by the gateway: nobody could be told who it is', async () => {
      const client = await linkerd(foreign, gateway);
      assert.equal((await client.ask(get([':isthmus-target', TARGET]))).status, 403);
    });

    test('carries the DNS name of a friend, or of the gateway', async () => {
      for (const pod of [mesh.pod(west, 'friend'), gateway]) {
        const client = await linkerd(pod, server);
        const denied = await client.ask(get([':isthmus-port', String(secret.port)]));
        assert.equal(denied.status, 403);
        const shown = await client.ask(
          get([':isthmus-port', String(app.port)], [':isthmus-client', foreign.spiffeId]),
        );
        assert.equal(seenBy(shown)['l5d-client-id'], undefined);
      }
    });
  });

  describe('a leaf that its issuer may not give', () => {
    test('without a SPIFFE ID by the issuer of a cluster, or with a second DNS name: closed', async () => {
      const { dnsName } = mesh.pod(west, 'friend');
      for (const recipe of [{ uri: [] }, { dns: [foreign.dnsName, dnsName] }, { ca: true }]) {
        const leaf = await makeLeaf(east.issuer, foreign.names, recipe);
        for (const to of [server, gateway]) await refusedLeaf(leaf, east.issuer, to);
      }
      assert.ok((await metricSum(server.ip, 'inbound_connections_refused_total')) >= 3);
    });
  });
});
