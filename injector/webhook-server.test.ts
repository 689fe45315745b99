import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';

import type { AdmissionReview, KubernetesObject } from '../api/kubernetes-types.ts';
import { silentLog } from '../kubernetes/log.ts';
import type { Decision } from './admission.ts';
import { makeTestCertificate } from './testing/certificates.ts';
import { context, pod } from './testing/fixture.ts';
import { startWebhookServer, type WebhookServer } from './webhook-server.ts';

const NAME = 'isthmus-injector.isthmus.svc';
const servers: WebhookServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function certificate() {
  return makeTestCertificate({
    dnsNames: [NAME],
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 3_600_000,
  });
}

async function start(namespace: () => Promise<undefined> = () => Promise.resolve(undefined)) {
  const made = await certificate();
  const decisions: Decision[] = [];
  const server = await startWebhookServer(
    { host: '127.0.0.1', port: 0, certificate: made, log: silentLog },
    { context: () => context, namespace, decided: (decision) => decisions.push(decision) },
  );
  servers.push(server);
  return { server, decisions, ca: made.ca };
}

async function post(
  { server, ca }: { server: WebhookServer; ca: string },
  body: string | Buffer,
  options: { path?: string; method?: string } = {},
): Promise<{ status: number | undefined; body: string }> {
  const { path = '/inject', method = 'POST' } = options;
  const call = request({
    host: '127.0.0.1',
    port: server.port,
    ca,
    servername: NAME,
    path,
    method,
    agent: false,
  });
  call.end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  return { status: response.statusCode, body: await text(response) };
}

function review(object: KubernetesObject | null, more: object = {}): string {
  const kind = { group: '', version: 'v1', kind: 'Pod' };
  const resource = { group: '', version: 'v1', resource: 'pods' };
  const base = { uid: 'u', kind, resource, namespace: 'shop', operation: 'CREATE', object };
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { ...base, ...more },
  });
}

async function admitted(world: Awaited<ReturnType<typeof start>>, body: string) {
  const answer = await post(world, body);
  assert.equal(answer.status, 200, answer.body);
  const { response } = JSON.parse(answer.body) as AdmissionReview;
  assert.ok(response !== undefined);
  assert.equal(response.uid, 'u');
  assert.equal(response.allowed, true);
  return response;
}

const ASKED = { 'isthmus.dev/inject': 'enabled' };

test('a pod that asks for it gets a patch, and mistakes in its annotations are warnings', async () => {
  const world = await start();
  const response = await admitted(
    world,
    review(pod({ ...ASKED, 'config.linkerd.io/proxy-cpu-limit': 'much' })),
  );
  assert.equal(response.patchType, 'JSONPatch');
  const patch = JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString()) as { path: string }[];
  assert.ok(patch.some(({ path }) => path === '/spec/initContainers'));
  assert.match(response.warnings?.join() ?? '', /proxy-cpu-limit: "much"/);
  assert.equal(world.decisions[0]?.result.injected, true);
});

test('a pod that asks and can have none is allowed with a warning; other webhooks’ second calls are not warned of', async () => {
  const world = await start();
  const onHost = await admitted(world, review(pod(ASKED, { hostNetwork: true })));
  assert.deepEqual([onHost.patch, onHost.warnings?.length], [undefined, 1]);
  assert.match(onHost.warnings?.[0] ?? '', /no sidecar is added: .*hostNetwork/);
  const again = review(pod(ASKED, { initContainers: [{ name: 'isthmus-proxy' }] }));
  assert.equal((await admitted(world, again)).warnings, undefined);
});

test('a container that is added to a running pod is none of the webhook’s business', async () => {
  const subject = review(pod(ASKED), { subResource: 'ephemeralcontainers', operation: 'UPDATE' });
  assert.equal((await admitted(await start(), subject)).patch, undefined);
});

const untouched: [what: string, body: string][] = [
  ['a pod that does not ask', review(pod())],
  ['an update', review(pod(ASKED), { operation: 'UPDATE' })],
  ['another kind', review(pod(ASKED), { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } })],
  ['a request without an object', review(null)],
  ['a pod without a spec', review({ metadata: {} })],
];

for (const [what, body] of untouched) {
  test(`${what} is allowed as it is`, async () => {
    assert.equal((await admitted(await start(), body)).patch, undefined);
  });
}

const wrong: [what: string, body: string, options: object, status: number][] = [
  ['no JSON', '{', {}, 400],
  ['JSON that is no review', '[]', {}, 400],
  ['null', 'null', {}, 400],
  ['a review of an older version', review(null).replace('io/v1"', 'io/v1beta1"'), {}, 400],
  ['a review without a request', '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', {}, 400],
  ['another path', review(null), { path: '/mutate' }, 404],
  ['another method', '', { method: 'GET' }, 405],
  ['a body beyond any review', ' '.repeat(3 * 1024 * 1024 + 1), {}, 413],
];

for (const [what, body, options, status] of wrong) {
  test(`${what} is answered with ${status}`, async () => {
    assert.equal((await post(await start(), body, options)).status, status);
  });
}

test('a failure of our own is 500, for the failure policy to judge, and the next request is served', async () => {
  let failures = 1;
  const world = await start(() =>
    failures-- > 0 ? Promise.reject(new Error('the API is away')) : Promise.resolve(undefined),
  );
  const failed = await post(world, review(pod(ASKED)));
  assert.equal(failed.status, 500);
  assert.doesNotMatch(failed.body, /API is away/);
  assert.notEqual((await admitted(world, review(pod(ASKED)))).patch, undefined);
});

test('a renewed certificate is served to new connections without a restart', async () => {
  const world = await start();
  const renewed = await certificate();
  await assert.rejects(post({ server: world.server, ca: renewed.ca }, review(null)));
  world.server.useCertificate(renewed);
  assert.equal((await post({ server: world.server, ca: renewed.ca }, review(null))).status, 200);
});

/** Connects without TLS. */
async function connection({ server }: { server: WebhookServer }): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

test('who only connects, however often, keeps neither a review out nor the server from ending', async (t) => {
  const world = await start();
  const silent = await Promise.all(Array.from({ length: 300 }, () => connection(world)));
  t.after(() => silent.forEach((socket) => socket.destroy()));
  assert.equal((await post(world, review(null))).status, 200);
  const half = connectTls({ host: '127.0.0.1', port: world.server.port, ca: world.ca, servername: NAME });
  t.after(() => half.destroy());
  half.on('error', () => {});
  await once(half, 'secureConnect');
  half.write('POST /inject HTTP/1.1\r\nhost: a\r\n');
  await world.server.close();
  servers.splice(0);
});
