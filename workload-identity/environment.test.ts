import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import * as dnsPacket from 'dns-packet';
import { silentLog } from '../log/index.ts';
import { workloadIdentityOptionsFromEnv } from './environment.ts';
import { createResolver, splitHostPort } from './resolver.ts';

const env = {
  SERVICE_ACCOUNT: 'web',
  POD_NAMESPACE: 'shop',
  POD_NAME: 'web-1',
  POD_IP: '127.0.0.9',
  ISTHMUS_CLUSTER_NAME: 'east',
};

test('the environment of a sidecar gives all that an identity needs', () => {
  const options = workloadIdentityOptionsFromEnv(env, { logger: silentLog });
  assert.deepEqual(options.names, {
    serviceAccount: 'web',
    namespace: 'shop',
    meshNamespace: 'isthmus',
    trustDomain: 'cluster.local',
    clusterId: 'east',
  });
  assert.deepEqual(options.certify, {
    kind: 'service',
    address: 'isthmus-identity.isthmus.svc.cluster.local:8080',
    tokenFile: '/var/run/secrets/tokens/isthmus-identity-token',
  });
  assert.equal(options.trustBundleAddress, 'isthmus-destination.isthmus.svc.cluster.local:8086');
  assert.equal(options.anchorsFile, '/var/run/isthmus/trust-roots/ca-bundle.crt');
  assert.equal(options.localAddress, '127.0.0.9');
});

test('mounts below a volume root are found there', () => {
  const options = workloadIdentityOptionsFromEnv(
    { ...env, ISTHMUS_VOLUME_ROOT: '/data/c1' },
    { logger: silentLog },
  );
  assert.equal(options.anchorsFile, '/data/c1/var/run/isthmus/trust-roots/ca-bundle.crt');
});

test('what is missing or malformed is named', () => {
  for (const variable of ['SERVICE_ACCOUNT', 'POD_NAMESPACE', 'POD_NAME', 'ISTHMUS_CLUSTER_NAME']) {
    assert.throws(
      () => workloadIdentityOptionsFromEnv({ ...env, [variable]: '' }, { logger: silentLog }),
      new RegExp(`${variable} is not set`),
    );
  }
  assert.throws(
    () => workloadIdentityOptionsFromEnv({ ...env, ISTHMUS_IDENTITY_ADDR: 'nowhere' }, { logger: silentLog }),
    /ISTHMUS_IDENTITY_ADDR: "nowhere" is not an address/,
  );
});

test('addresses are split, also of IPv6, and others are refused', () => {
  assert.deepEqual(splitHostPort('a.b:80'), { host: 'a.b', port: 80 });
  assert.deepEqual(splitHostPort('[::1]:80'), { host: '::1', port: 80 });
  for (const wrong of ['a', 'a:', 'a:0', 'a:65536', '::1:80', 'a:b', ':80', 'a:80:90']) {
    assert.throws(() => splitHostPort(wrong), /is not an address/, wrong);
  }
});

test('literal addresses pass without a question', async () => {
  const resolve = createResolver({ ISTHMUS_DNS_SERVER: '127.0.0.1:1' });
  assert.deepEqual(await resolve('127.0.0.5:80'), [{ address: '127.0.0.5', port: 80 }]);
});

test('names are asked at the server that the environment names', async () => {
  const asked: string[] = [];
  const server = createSocket('udp4');
  server.on('message', (message, from) => {
    const query = dnsPacket.decode(message);
    const question = query.questions?.[0];
    if (question === undefined) return;
    asked.push(`${question.type} ${question.name}`);
    const known = question.name === 'isthmus-identity.isthmus.svc.cluster.local';
    const answers =
      known && question.type === 'A'
        ? [{ type: 'A' as const, name: question.name, ttl: 1, data: '127.0.0.7' }]
        : [];
    const rcode = known ? 0 : 3;
    server.send(
      dnsPacket.encode({ type: 'response', id: query.id ?? 0, flags: rcode, questions: [question], answers }),
      from.port,
      from.address,
    );
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const resolve = createResolver({ ISTHMUS_DNS_SERVER: `127.0.0.1:${server.address().port}` });
    assert.deepEqual(await resolve('isthmus-identity.isthmus.svc.cluster.local:8080'), [
      { address: '127.0.0.7', port: 8080 },
    ]);
    await assert.rejects(resolve('nowhere.example:1'), /nowhere\.example was not resolved/);
    assert.ok(asked.includes('A isthmus-identity.isthmus.svc.cluster.local'));
  } finally {
    server.close();
  }
});
