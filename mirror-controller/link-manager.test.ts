import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Registry } from 'prom-client';
import type { Link, LinkConditionType } from '../api/isthmus-types.ts';
import type { Condition } from '../api/kubernetes-types.ts';
import { createClient } from '../kubernetes/client.ts';
import { systemClock } from '../kubernetes/clock.ts';
import { findCondition } from '../kubernetes/conditions.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { FakeApiServer, startFakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { Extension, makeCertificate, privateKeyPem } from '../workload-identity/testing/test-ca.ts';
import { LinkManager } from './link-manager.ts';
import { createLinkMetrics } from './metrics.ts';
import type { ProbeResult } from './probe-connection.ts';
import { kubeconfig, link, linkSecret } from './testing/link-fixture.ts';

const { services, namespaces, links, secrets, endpointSlices } = resources;

/** DER of a subjectAltName with the IP address 127.0.0.1. */
const LOOPBACK_SAN = Buffer.from('300687047f000001', 'hex');
const certificate = await makeCertificate({
  subject: 'CN=api',
  keyUsage: 'none',
  extraExtensions: [new Extension('2.5.29.17', false, LOOPBACK_SAN)],
});
const tls = { cert: certificate.pem, key: await privateKeyPem(certificate) };

let local: FakeApiServer;
let targets: FakeApiServer[];
let client: KubernetesClient;
let stop: (() => Promise<void>) | undefined;
let registry: Registry;
let probed: ProbeResult;

beforeEach(async () => {
  local = await startFakeApiServer();
  targets = [];
  client = createClient(local.config());
  probed = { kind: 'alive', latencyMs: 5 };
  for (const name of ['isthmus', 'ns1']) local.put(namespaces, { metadata: { name } });
});
afterEach(async () => {
  await stop?.();
  stop = undefined;
  await client.close();
  await Promise.all([local.stop(), ...targets.map((t) => t.stop())]);
});

async function target(tokens = new Set(['good'])): Promise<FakeApiServer> {
  const server = await new FakeApiServer({ tls, tokens, checkNamespaces: false }).start();
  targets.push(server);
  return server;
}

function exportOn(server: FakeApiServer, name: string): void {
  const labels = { 'mirror.linkerd.io/exported': 'true' };
  server.put(services, { metadata: { name, namespace: 'ns1', labels }, spec: { ports: [{ port: 80 }] } });
}

function linkTo(name: string, server: FakeApiServer, spec: Partial<Link['spec']> = {}): void {
  local.put(secrets, linkSecret(name, kubeconfig(server.url, tls.cert)));
  local.put(links, link(name, spec));
}

function start(workerHeapMiB = 128): void {
  registry = new Registry();
  const manager = new LinkManager({
    client,
    local: { server: local.url },
    ownClusterId: 'home',
    meshNamespace: 'isthmus',
    probe: () => Promise.resolve(probed),
    resolve: () => Promise.reject(new Error('no names here')),
    metrics: createLinkMetrics(registry),
    workerHeapMiB,
    logLevel: 'silent',
    clock: systemClock,
    random: Math.random,
    logger: silentLog,
    backoff: { initialMs: 5, maxMs: 50 },
    statusIntervalMs: 100,
  });
  const stopping = new AbortController();
  const running = manager.run(stopping.signal);
  stop = async () => {
    stopping.abort();
    await running;
  };
}

const condition = (name: string, type: LinkConditionType): Condition | undefined =>
  findCondition(local.find(links, 'isthmus', name)?.status?.conditions, type);
const is = (name: string, type: LinkConditionType, status: string, reason?: string) => (): boolean => {
  const found = condition(name, type);
  return found?.status === status && (reason === undefined || found.reason === reason);
};
const mirrored =
  (name: string, cluster = 'west') =>
  (): boolean =>
    local.find(services, 'ns1', `${name}-${cluster}`) !== undefined;

test('a Link is followed by a worker, and its status tells all', async () => {
  const west = await target();
  exportOn(west, 'web');
  linkTo('west', west);
  start();
  await local.until(is('west', 'Synced', 'True'));
  for (const type of ['CredentialsValid', 'ApiReachable', 'GatewayAlive', 'TrustShared', 'Synced'] as const) {
    await local.until(is('west', type, 'True'));
    assert.ok(condition('west', type)?.lastTransitionTime !== undefined);
    assert.equal(condition('west', type)?.observedGeneration, 1);
  }
  assert.equal(mirrored('web')(), true);
  const status = local.find(links, 'isthmus', 'west')?.status;
  assert.deepEqual(status?.mirrorServices, [
    { namespace: 'ns1', remoteName: 'web', localName: 'web-west', mirrored: true },
  ]);
  assert.deepEqual(status.gateway, { addresses: ['192.0.2.127'], port: 4143, latencyMs: 5 });
  assert.ok(status.lastSyncTime !== undefined);
  const metrics = await registry.metrics();
  assert.match(metrics, /gateway_alive\{target_cluster_name="west"\} 1/);
  assert.match(metrics, /gateway_probes\{target_cluster_name="west",probe_successful="true"\} [1-9]/);
  assert.match(metrics, /isthmus_link_seconds_since_last_sync\{target_cluster_name="west"\} 0/);
});

test('unlinking removes everything, also when the target is dead; user services stay', async () => {
  const west = await target();
  exportOn(west, 'web');
  linkTo('west', west);
  local.put(services, { metadata: { name: 'own', namespace: 'ns1' }, spec: { ports: [{ port: 1 }] } });
  start();
  await local.until(is('west', 'Synced', 'True'));
  await west.stop();
  await local.until(is('west', 'ApiReachable', 'False'));
  local.remove(links, 'isthmus', 'west');
  await local.until(() => !mirrored('web')());
  await local.until(() => local.list(endpointSlices).length === 0);
  assert.notEqual(local.find(services, 'ns1', 'own'), undefined);
  assert.doesNotMatch(await registry.metrics(), /target_cluster_name="west"/);
});

test('a Link deleted while no controller ran is cleaned up at the start', async () => {
  const west = await target();
  exportOn(west, 'web');
  linkTo('west', west);
  start();
  await local.until(is('west', 'Synced', 'True'));
  await stop?.();
  local.remove(links, 'isthmus', 'west');
  assert.equal(mirrored('web')(), true);
  start();
  await local.until(() => !mirrored('web')() && local.list(endpointSlices).length === 0);
});

test('an expired token: told, mirrors stay, and a changed Secret heals it', async () => {
  const tokens = new Set(['good']);
  const west = await target(tokens);
  exportOn(west, 'web');
  linkTo('west', west);
  start();
  await local.until(is('west', 'Synced', 'True'));
  tokens.delete('good');
  west.endWatches('break');
  await local.until(is('west', 'CredentialsValid', 'False', 'Unauthorized'));
  assert.equal(condition('west', 'ApiReachable')?.status, 'True');
  assert.equal(mirrored('web')(), true);
  assert.doesNotMatch(JSON.stringify(local.find(links, 'isthmus', 'west')?.status), /good/);
  tokens.add('fresh');
  exportOn(west, 'more');
  local.put(secrets, linkSecret('west', kubeconfig(west.url, tls.cert, { token: 'fresh' })));
  await local.until(is('west', 'CredentialsValid', 'True'));
  await local.until(mirrored('more'));
});

test('an exec kubeconfig is refused by name; a missing Secret is told, and heals', async () => {
  const west = await target();
  exportOn(west, 'web');
  const exec = { exec: { command: '/bin/sh', apiVersion: 'client.authentication.k8s.io/v1' } };
  local.put(secrets, linkSecret('west', kubeconfig(west.url, tls.cert, exec)));
  local.put(links, link('west'));
  local.put(links, link('north'));
  start();
  await local.until(is('west', 'CredentialsValid', 'False', 'KubeconfigRefused'));
  assert.match(condition('west', 'CredentialsValid')?.message ?? '', /"users\[0\]\.user\.exec" is refused/);
  await local.until(is('north', 'CredentialsValid', 'False', 'SecretNotFound'));
  local.put(secrets, linkSecret('west', kubeconfig(west.url, tls.cert)));
  await local.until(is('west', 'Synced', 'True'));
});

test('malformed Links are told what is wrong and harm no other', async () => {
  const west = await target();
  exportOn(west, 'web');
  linkTo('west', west);
  local.put(links, { metadata: { name: 'bad', namespace: 'isthmus' }, spec: 'nonsense' } as unknown as Link);
  local.put(links, { metadata: { name: 'worse', namespace: 'isthmus' } } as unknown as Link);
  local.put(links, link('odd', { selector: { matchExpressions: [{ key: 'a', operator: 'Like' as 'In' }] } }));
  local.put(links, link('home'));
  start();
  await local.until(is('west', 'Synced', 'True'));
  for (const name of ['bad', 'worse', 'odd', 'home'])
    await local.until(is(name, 'Synced', 'False', 'InvalidLink'));
  assert.match(condition('bad', 'Synced')?.message ?? '', /spec is missing or not a map/);
  assert.match(condition('odd', 'Synced')?.message ?? '', /"Like" on "a" is no operator/);
  assert.match(condition('home', 'Synced')?.message ?? '', /this very cluster/);
});

test('of two links one whose target hangs does not delay the other', async () => {
  const hung = await target();
  hung.fault = () => ({ kind: 'stall' });
  const west = await target();
  exportOn(west, 'web');
  linkTo('hung', hung);
  linkTo('west', west);
  start();
  await local.until(is('west', 'Synced', 'True'));
  await local.until(is('hung', 'Synced', 'Unknown'));
  local.remove(links, 'isthmus', 'hung');
  exportOn(west, 'more');
  await local.until(mirrored('more'));
});

test('an answer that would not fit into the heap is refused, and the link says so', async () => {
  const fat = await target();
  const body = `{"metadata":{"resourceVersion":"1"},"items":[${'[],'.repeat(4_500_000)}[]]}`;
  fat.fault = ({ path, query }) =>
    path.endsWith('/endpointslices') && !query.has('watch') ? { kind: 'body', body } : undefined;
  linkTo('fat', fat);
  start(48);
  await local.until(is('fat', 'ApiReachable', 'False', 'ResponseTooLarge'));
  fat.fault = undefined;
  await local.until(is('fat', 'Synced', 'True'));
});

test('a worker that runs out of memory takes nothing else with it, is told, and started again', async () => {
  const fat = await target();
  const west = await target();
  exportOn(west, 'web');
  exportOn(fat, 'web');
  const item = JSON.stringify({ metadata: { name: 'n', annotations: { ballast: 'x'.repeat(4000) } } });
  const body = `{"metadata":{"resourceVersion":"1","continue":"more"},"items":[${`${item},`.repeat(99)}${item}]}`;
  fat.fault = ({ path, query }) =>
    path.endsWith('/services') && query.has('labelSelector') && !query.has('watch')
      ? { kind: 'body', body }
      : undefined;
  linkTo('fat', fat);
  linkTo('west', west);
  start(32);
  await local.until(is('fat', 'Synced', 'False', 'WorkerCrashed'));
  await local.until(is('west', 'Synced', 'True'));
  fat.fault = undefined;
  await local.until(is('fat', 'Synced', 'True'));
  assert.equal(mirrored('web', 'fat')(), true);
  assert.match(
    await registry.metrics(),
    /isthmus_link_worker_crashes_total\{target_cluster_name="fat"\} [1-9]/,
  );
});

test('trust that is not shared is told apart from a dead gateway', async () => {
  const west = await target();
  probed = { kind: 'failed', reason: 'UnknownAnchor', message: 'no anchor', trust: 'refused' };
  linkTo('west', west, { probe: { periodSeconds: 1, failureThreshold: 1 } });
  start();
  await local.until(is('west', 'TrustShared', 'False', 'UnknownAnchor'));
  await local.until(is('west', 'GatewayAlive', 'False', 'UnknownAnchor'));
  await local.until(is('west', 'Synced', 'True'));
});
