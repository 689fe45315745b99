/** Transparent redirection in network namespaces: the real rules, real sidecars as processes of their own user, and apps that know nothing of them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, suite, test } from 'node:test';
import { PROXY_UID } from '../../api/names.ts';
import type { AppResult } from './messages.ts';
import { missing, type Namespace, works } from './namespaces.ts';
import { TestPods, type App, type Pod } from './pods.ts';

const HTTP = 8080;
const ECHO = 9000;
const GREETS = 2525;
const TLS = 8443;
const PROBED = 8181;
const SKIPPED_IN = 7070;
const SKIPPED_OUT = 7171;
/** Addresses of services: nobody has them. */
const SERVICE4 = '10.96.0.10';
const SERVICE6 = 'fd96::10';

const skip = missing();
if (skip !== undefined) process.stdout.write(`test:netns is skipped: ${skip}\n`);

suite('redirection', { skip: skip !== undefined, timeout: 240_000 }, () => {
  let pods: TestPods;
  let client: Pod;
  let server: Pod;
  let outside: App;
  let outsideNamespace: Namespace;

  before(async () => {
    pods = await TestPods.create();
    [client, server] = await Promise.all([
      pods.pod('client', 2, { env: { ISTHMUS_REDIRECT_SKIP_OUTBOUND_PORTS: `${SKIPPED_OUT}` } }),
      pods.pod('server', 3, {
        env: { ISTHMUS_REDIRECT_SKIP_INBOUND_PORTS: `${SKIPPED_IN}` },
        opaquePorts: [GREETS],
        probes: [[PROBED, ['/healthz']]],
      }),
    ]);
    outsideNamespace = pods.network.namespace('outside', 4);
    outside = pods.app(outsideNamespace);
    for (const port of [HTTP, PROBED, SKIPPED_IN, SKIPPED_OUT])
      await server.app.ask({ do: 'serve-http', host: '::', port });
    await server.app.ask({ do: 'serve-tcp', host: '0.0.0.0', port: ECHO, greeting: '' });
    await server.app.ask({ do: 'serve-tcp', host: '0.0.0.0', port: GREETS, greeting: 'hello %from%\n' });
    await service(`${SERVICE4}:80`, HTTP);
    await service(`[${SERVICE6}]:80`, HTTP);
    await service(`${SERVICE4}:${ECHO}`, ECHO);
    await service(`${SERVICE4}:${GREETS}`, GREETS, true);
    await service(`${server.namespace.ip4}:${HTTP}`, HTTP);
  });
  after(() => pods?.close());

  function service(authority: string, appPort: number, opaque = false): Promise<void> {
    return client.tell({ kind: 'service', authority, endpoints: [server.endpoint(appPort)], opaque });
  }

  test('HTTP/1.1 to a service: both sides are redirected, and the server knows its client', async () => {
    const seen = await client.app.seen(`http://${SERVICE4}/`, { host: 'web.shop' });
    assert.deepEqual(seen, { from: server.namespace.ip4, host: 'web.shop', client: client.dnsName });
  });

  test('HTTP/1.1 to a pod: the Host does not lead it elsewhere', async () => {
    await service('web.shop:8080', ECHO);
    const seen = await client.app.seen(`http://${server.namespace.ip4}:${HTTP}/`, { host: 'web.shop' });
    assert.equal(seen.client, client.dnsName);
  });

  test('opaque TCP to a service', async () => {
    assert.equal(await client.app.talk(SERVICE4, ECHO, '\x01\x02 binary'), '\x01\x02 binary');
  });

  test('a server that speaks first, on an opaque port, from a client that says nothing until then', async () => {
    const heard = await client.app.talk(SERVICE4, GREETS, 'thanks', true);
    assert.equal(heard, `hello ${server.namespace.ip4}\nthanks`);
  });

  test('IPv6 to a service', async () => {
    const seen = await client.app.seen(`http://[${SERVICE6}]/`);
    assert.equal(seen.client, client.dnsName);
  });

  test('IPv6 to a pod that the control plane does not know: plain, through both sidecars', async () => {
    const seen = await client.app.seen(`http://[${server.namespace.ip6}]:${HTTP}/`);
    assert.deepEqual([seen.client, seen.from], [undefined, server.namespace.ip6]);
  });

  test('what the sidecar’s own user connects to is not turned back to it', async () => {
    const own = pods.app(client.namespace, PROXY_UID);
    const seen = await own.seen(`http://${server.namespace.ip4}:${HTTP}/`);
    // Past its own sidecar: nobody has said who it is.
    assert.equal(seen.client, undefined);
    // Straight to the sidecar's own door: it leads nowhere, above all not to itself.
    assert.doesNotMatch(await own.talk('127.0.0.1', 4140, 'GET / HTTP/1.1\r\n\r\n'), /HTTP/);
  });

  test('a port that is skipped on the way out passes the sidecar by', async () => {
    await service(`${server.namespace.ip4}:${SKIPPED_OUT}`, SKIPPED_OUT);
    const seen = await client.app.seen(`http://${server.namespace.ip4}:${SKIPPED_OUT}/`);
    assert.deepEqual([seen.client, seen.from], [undefined, server.namespace.ip4]);
  });

  test('a kubelet’s probe passes while the control plane does not see the pod, and nothing else does', async () => {
    await server.tell({ kind: 'unseen', port: PROBED });
    const status = async (path: string): Promise<number> =>
      (await outside.get(`http://${server.namespace.ip4}:${PROBED}${path}`)).status;
    assert.deepEqual([await status('/healthz'), await status('/')], [200, 403]);
  });

  test('a port that is skipped on the way in is the app’s alone', async () => {
    const seen = await outside.seen(`http://${server.namespace.ip4}:${SKIPPED_IN}/`);
    assert.deepEqual([seen.client, seen.from], [undefined, '10.77.0.4']);
  });

  test('metrics of any sidecar are reached without one between', async () => {
    const { status, body } = await client.app.get(`http://${server.namespace.ip4}:4191/metrics`);
    assert.equal(status, 200);
    assert.match(body, /inbound_http_authz_allow_total\{[^}]*tls="no_identity"/);
  });

  test('an ingress: a request goes where l5d-dst-override says, whatever address it was for; at others by its address', async () => {
    const field = { 'l5d-dst-override': 'web.shop.svc.cluster.local:80', host: 'public.example' };
    const ingress = await pods.pod('ingress', 7, { ingress: true });
    const named = { authority: field['l5d-dst-override'], endpoints: [server.endpoint(HTTP)] };
    await ingress.tell({ kind: 'service', ...named, opaque: false });
    // As by address no endpoint is there, by name one is.
    for (const authority of [`${SERVICE4}:80`, `${server.namespace.ip4}:${ECHO}`]) {
      await ingress.tell({ kind: 'service', authority, endpoints: [], opaque: false });
      const seen = await ingress.app.seen(`http://${authority}/`, field);
      assert.deepEqual(seen, {
        from: server.namespace.ip4,
        host: 'public.example',
        client: ingress.dnsName,
      });
    }
    assert.equal((await ingress.app.get(`http://${SERVICE4}/`)).status, 504);
    assert.equal((await client.app.seen(`http://${SERVICE4}/`, field)).client, client.dnsName);
  });

  test('plaintext from outside of the mesh: by policy, for requests and for bytes', async () => {
    const url = `http://${server.namespace.ip4}:${HTTP}/`;
    const open = await outside.seen(url, { 'l5d-client-id': 'a liar' });
    assert.deepEqual([open.client, open.from], [undefined, server.namespace.ip4]);
    assert.equal(await outside.talk(server.namespace.ip4, ECHO, 'bytes'), 'bytes');

    for (const port of [HTTP, ECHO])
      await server.tell({ kind: 'policy', port, identities: [client.dnsName] });
    assert.equal((await outside.get(url)).status, 403);
    assert.doesNotMatch(await outside.talk(server.namespace.ip4, ECHO, 'bytes'), /bytes/);
    // The mesh's own client is let in by the same policy.
    assert.equal((await client.app.seen(`http://${SERVICE4}/`)).client, client.dnsName);
    assert.equal(await client.app.talk(SERVICE4, ECHO, 'bytes'), 'bytes');
  });

  test('TLS of the app’s own passes through both sidecars as it is', async () => {
    await server.app.ask({ do: 'serve-tls', port: TLS, ...(await pods.appCertificate()) });
    for (const app of [client.app, outside]) {
      const host = server.namespace.ip4;
      const result = await app.ask({ do: 'talk-tls', host, port: TLS, serverName: 'own.example', send: '' });
      assert.deepEqual(result, { kind: 'bytes', text: 'inside TLS' });
    }
  });

  test('mesh TLS on the app’s own port, as Linkerd’s proxy dials it, ends in the sidecar', async () => {
    const certificate = await pods.meshCertificate('client');
    const task = { do: 'talk-tls', host: server.namespace.ip4, port: HTTP } as const;
    const send = 'GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n';
    const result = await outside.ask({ ...task, serverName: server.dnsName, send, ...certificate });
    assert.equal(result.kind, 'bytes');
    // The policy of the port lets in the client's identity alone: it was asked, and the app is told.
    assert.match(result.text, new RegExp(`^HTTP/1.1 200[^]*"client":"${client.dnsName}"`));
  });

  test('an address that is not the pod’s is not served: a sidecar is no relay', async () => {
    const foreign = '10.99.0.1';
    const route = ['route', 'add', foreign, 'via', server.namespace.ip4];
    assert.equal(spawnSync('ip', ['-n', outsideNamespace.name, ...route]).status, 0);
    assert.doesNotMatch(await outside.talk(foreign, HTTP, 'GET / HTTP/1.1\r\nhost: web\r\n\r\n'), /HTTP/);
    const { body } = await outside.get(`http://${server.namespace.ip4}:4191/metrics`);
    assert.match(body, /inbound_connections_refused_total\{reason="not-this-pod"\} 1/);
  });

  test('the sidecar’s own ports lead nowhere from outside', async () => {
    const request = 'GET / HTTP/1.1\r\nhost: web\r\n\r\n';
    for (const port of [4140, 4143])
      assert.doesNotMatch(await outside.talk(server.namespace.ip4, port, request), /HTTP/);
  });

  test('a container that is added later, of whatever user, is redirected as the app is', async () => {
    const debug = pods.app(client.namespace, 0);
    assert.equal((await debug.seen(`http://${SERVICE4}/`)).client, client.dnsName);
  });

  test('other ports of a sidecar, and its end when the pod’s own container asks for it', async () => {
    const env = {
      ISTHMUS_REDIRECT_INBOUND_PORT: '15001',
      ISTHMUS_REDIRECT_OUTBOUND_PORT: '15002',
      ISTHMUS_REDIRECT_ADMIN_PORT: '15003',
    };
    const pod = await pods.pod('elsewhere', 6, { env });
    await pod.app.ask({ do: 'serve-http', host: '::', port: 4143 });
    const authority = `${SERVICE4}:80`;
    await pod.tell({ kind: 'service', authority, endpoints: [pod.endpoint(4143)], opaque: false });
    // Out by 15002, in by 15001, to an app on a port that is a sidecar's elsewhere.
    assert.equal((await pod.app.seen(`http://${authority}/`)).client, pod.dnsName);
    assert.match(await outside.talk(pod.namespace.ip4, 4143, 'GET / HTTP/1.0\r\n\r\n'), /HTTP\/1\.[01] 200/);
    const shutdown = (app: App, host: string): Promise<AppResult> =>
      app.ask({ do: 'get', url: `http://${host}:15003/shutdown`, method: 'POST' });
    const refused = await shutdown(outside, pod.namespace.ip4);
    assert.ok(refused.kind === 'answer' && refused.status === 403);
    assert.equal((await shutdown(pod.app, '127.0.0.1')).kind, 'answer');
    assert.equal(await pod.ended, 0);
  });

  test('iptables does the same where it is all that there is, and doubles nothing', async (t) => {
    if (!works('iptables', ['--version'])) return t.skip('needs iptables');
    const pod = await pods.pod('iptables', 5, { tools: 'iptables' });
    const authorities = [`${SERVICE4}:80`, `[${SERVICE6}]:80`];
    for (const authority of authorities) {
      await pod.tell({ kind: 'service', authority, endpoints: [server.endpoint(HTTP)], opaque: false });
      // The server's policy lets in the first client alone: that this one is refused shows that it came as itself, through its sidecar.
      assert.equal((await pod.app.get(`http://${authority}/`)).status, 403);
    }
    const rules = (): string =>
      ['iptables-save', 'ip6tables-save']
        .map(
          (program) =>
            spawnSync('ip', [...pod.namespace.exec.slice(1), program], { encoding: 'utf8' }).stdout,
        )
        .join('')
        .replace(/^#.*$|\[[0-9:]+\]/gm, '');
    const before = rules();
    assert.match(before, /ISTHMUS_OUTBOUND/);
    assert.match(pods.redirect(pod.namespace, {}, 'iptables'), /"tool":"iptables"/);
    assert.equal(rules(), before);
  });

  test('a server of the pod’s own is reached over loopback without the sidecar', async () => {
    await client.app.ask({ do: 'serve-http', host: '127.0.0.1', port: 6000 });
    assert.equal((await client.app.seen('http://127.0.0.1:6000/')).from, '127.0.0.1');
  });

  test('DNS over TCP is left alone', async () => {
    const root = pods.app(server.namespace, 0);
    await root.ask({ do: 'serve-tcp', host: '0.0.0.0', port: 53, greeting: '' });
    await client.tell({
      kind: 'service',
      authority: `${server.namespace.ip4}:53`,
      endpoints: [],
      opaque: true,
    });
    assert.equal(await client.app.talk(server.namespace.ip4, 53, 'query'), 'query');
  });

  test('setting the rules again leaves exactly those rules', () => {
    const list = (): string =>
      spawnSync('ip', ['netns', 'exec', client.namespace.name, 'nft', 'list', 'ruleset'], {
        encoding: 'utf8',
      }).stdout;
    const before = list();
    pods.redirect(client.namespace, { ISTHMUS_REDIRECT_SKIP_OUTBOUND_PORTS: `${SKIPPED_OUT}` });
    assert.equal(list(), before);
  });
});
