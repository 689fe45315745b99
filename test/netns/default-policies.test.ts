/**
 * Who gets in by each default policy, and by a policy in its place: real rules, real sidecars, a real gateway, and apps
 * and clients that know nothing of them.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { port as ports } from '../../api/names.ts';
import { DEFAULT_INBOUND_POLICIES, type DefaultInboundPolicy } from '../../api/default-policies.ts';
import { missing } from './namespaces.ts';
import { TestPods, type App, type Pod } from './pods.ts';

const HTTP = 8080;
const OPAQUE = 9000;
const TLS = 8443;
const PORTS = [HTTP, OPAQUE, TLS] as const;
type Port = (typeof PORTS)[number];
const SPOKEN: Readonly<Record<Port, string>> = {
  [HTTP]: 'HTTP',
  [OPAQUE]: 'opaque bytes',
  [TLS]: 'TLS of the app’s own',
};
const PROBE = '/healthz';
/** Addresses in the cluster are those below 64. */
const CLUSTER = '10.77.0.0/26';
/** The addresses that west's clients know the exported services by: nobody has them. */
const serviceAddress = (i: number): string => `10.96.1.${i + 1}`;

/** A client has a sidecar or none, within the cluster's networks or outside, or is in west, and comes through the gateway. */
const CLIENTS = ['meshed', 'meshed from outside', 'plain', 'plain from outside', 'of west'] as const;
type Client = (typeof CLIENTS)[number];

/** Whom each default lets in. West's clients come from the gateway's address, by an identity of their own. */
const LETS_IN: Readonly<Record<DefaultInboundPolicy, readonly Client[]>> = {
  'all-unauthenticated': CLIENTS,
  'all-authenticated': ['meshed', 'meshed from outside', 'of west'],
  'cluster-unauthenticated': ['meshed', 'plain', 'of west'],
  'cluster-authenticated': ['meshed', 'of west'],
  deny: [],
  audit: CLIENTS,
};
/** Whom a policy lets in that names the meshed client, whatever the default is. */
const NAMED: readonly Client[] = ['meshed'];

const skip = missing();
if (skip !== undefined) process.stdout.write(`test:netns is skipped: ${skip}\n`);

suite('default policies', { skip: skip !== undefined, timeout: 120_000 }, () => {
  let pods: TestPods;
  let apps: Record<Client, App>;
  let meshed: Pod;
  const servers = new Map<DefaultInboundPolicy, Pod>();

  before(async () => {
    pods = await TestPods.create();
    const [client, far, west, gateway] = await Promise.all([
      pods.pod('client', 2),
      pods.pod('far', 103),
      pods.pod('west', 101, { cluster: 'west' }),
      pods.gateway(
        3,
        DEFAULT_INBOUND_POLICIES.map((name) => ({ namespace: 'shop', name, ports: [...PORTS] })),
      ),
    ]);
    meshed = client;
    const certificate = await pods.appCertificate();
    const startServer = async (word: DefaultInboundPolicy, i: number): Promise<void> => {
      const server = await pods.pod(word, 10 + i, {
        defaultPolicy: word,
        clusterNetworks: [CLUSTER],
        appPorts: PORTS,
        probes: [[HTTP, [PROBE]]],
      });
      servers.set(word, server);
      await server.app.ask({ do: 'serve-http', host: '0.0.0.0', port: HTTP });
      await server.app.ask({ do: 'serve-tcp', host: '0.0.0.0', port: OPAQUE, greeting: '' });
      await server.app.ask({ do: 'serve-tls', port: TLS, ...certificate });
    };
    await Promise.all(DEFAULT_INBOUND_POLICIES.map(startServer));
    for (const [i, word] of DEFAULT_INBOUND_POLICIES.entries()) {
      const server = serverOf(word);
      for (const port of PORTS) {
        const to = { kind: 'service', opaque: false } as const;
        const endpoints = [server.endpoint(port)];
        const exported = `${word}.shop.svc.cluster.local:${port}`;
        for (const pod of [client, far])
          await pod.tell({ ...to, authority: `${server.namespace.ip4}:${port}`, endpoints });
        await gateway.tell({ ...to, authority: exported, endpoints });
        const mirror = [{ ...gateway.endpoint(ports.inbound), authorityOverride: exported }];
        await west.tell({ ...to, authority: `${serviceAddress(i)}:${port}`, endpoints: mirror });
      }
    }
    const plain = (name: string, host: number): App => pods.app(pods.network.namespace(name, host));
    apps = {
      meshed: client.app,
      'meshed from outside': far.app,
      plain: plain('plain', 4),
      'plain from outside': plain('outside', 102),
      'of west': west.app,
    };
  });
  after(() => pods?.close());

  const serverOf = (word: DefaultInboundPolicy): Pod => {
    const server = servers.get(word);
    assert.ok(server !== undefined);
    return server;
  };

  /** Whether a client is let in; throws where it is neither that nor refused as it should be. */
  async function letsIn(word: DefaultInboundPolicy, client: Client, port: Port): Promise<boolean> {
    const app = apps[client];
    const host =
      client === 'of west'
        ? serviceAddress(DEFAULT_INBOUND_POLICIES.indexOf(word))
        : serverOf(word).namespace.ip4;
    if (port === HTTP) {
      const { status } = await app.get(`http://${host}:${HTTP}/`);
      assert.ok(status === 200 || status === 403, `${status}`);
      return status === 200;
    }
    if (port === OPAQUE) {
      const heard = await app.talk(host, OPAQUE, '\x01\x02 bytes');
      if (heard !== '\x01\x02 bytes') assert.match(heard, /^$|ECONNRESET|EPIPE/);
      return heard === '\x01\x02 bytes';
    }
    const result = await app.ask({ do: 'talk-tls', host, port, serverName: 'own.example', send: '' });
    if (result.kind === 'failed') assert.match(result.error, /ECONNRESET|EPIPE/);
    else assert.deepEqual(result, { kind: 'bytes', text: 'inside TLS' });
    return result.kind === 'bytes';
  }

  /** How often the sidecar's policy of that name let somebody in and did not, by what its metrics say: of requests, and of opaque streams. */
  async function counted(word: DefaultInboundPolicy, policy: string): Promise<number[]> {
    const { body } = await apps.plain.get(`http://${serverOf(word).namespace.ip4}:4191/metrics`);
    return ['http_authz_allow', 'http_authz_deny', 'tcp_authz_allow', 'tcp_authz_deny'].map((name) => {
      let sum = 0;
      for (const [, labels = '', value] of body.matchAll(
        new RegExp(`^inbound_${name}_total\\{(.*)\\} (\\d+)$`, 'gm'),
      ))
        if (labels.includes(`srv_name="${policy}"`) && !labels.includes('route_name="probe"'))
          sum += Number(value);
      return sum;
    });
  }

  /** Everybody tries every port; who got in, by port. */
  async function everybody(word: DefaultInboundPolicy): Promise<Record<string, Client[]>> {
    const seen: Record<string, Client[]> = {};
    for (const port of PORTS) {
      const tried = await Promise.all(
        CLIENTS.map(async (client) => ((await letsIn(word, client, port)) ? [client] : [])),
      );
      seen[SPOKEN[port]] = tried.flat();
    }
    return seen;
  }

  const onEachPort = (clients: readonly Client[]): Record<string, readonly Client[]> =>
    Object.fromEntries(PORTS.map((port) => [SPOKEN[port], clients]));
  /** What is counted when everybody has tried every port once: one of them by requests. */
  const countsOf = (allowed: number): number[] => {
    const denied = CLIENTS.length - allowed;
    return [allowed, denied, 2 * allowed, 2 * denied];
  };

  for (const word of DEFAULT_INBOUND_POLICIES) {
    test(`${word}: lets in ${LETS_IN[word].join(', ') || 'nobody'}, whatever is spoken, and counts each`, async () => {
      assert.deepEqual(await everybody(word), onEachPort(LETS_IN[word]));
      assert.deepEqual(await counted(word, word), countsOf(LETS_IN[word].length));
    });

    test(`${word}: the kubelet’s probe gets in by its path and method alone`, async () => {
      const host = serverOf(word).namespace.ip4;
      const open = LETS_IN[word].includes('plain from outside') ? 200 : 403;
      const app = apps['plain from outside'];
      const statuses = [];
      for (const [method, path] of [
        ['GET', PROBE],
        ['POST', PROBE],
        ['GET', `${PROBE}/x`],
      ] as const) {
        const result = await app.ask({
          do: 'get',
          url: `http://${host}:${HTTP}${path}`,
          ...(method === 'POST' ? { method } : {}),
        });
        statuses.push(result.kind === 'answer' ? result.status : result);
      }
      assert.deepEqual(statuses, [200, open, open]);
    });

    test(`${word}: a policy for the port takes its place`, async () => {
      for (const port of PORTS)
        await serverOf(word).tell({ kind: 'policy', port, identities: [meshed.dnsName] });
      assert.deepEqual(await everybody(word), onEachPort(NAMED));
      assert.deepEqual(await counted(word, 'test'), countsOf(NAMED.length));
    });
  }
});
