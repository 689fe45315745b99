import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { afterEach, test } from 'node:test';

import { object } from '../api/names.ts';
import { createClient } from '../kubernetes/client.ts';
import { systemClock, type Clock } from '../kubernetes/clock.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import { FakeApiServer } from '../kubernetes/testing/fake-api-server.ts';
import { createCertificateController } from './certificate-controller.ts';
import {
  type MakeServingCertificate,
  makeServingPair,
  type ServingPair,
  servingSecret,
} from './serving-secret.ts';
import { makeTestCertificate } from './testing/certificates.ts';

const NAME = 'isthmus-injector.isthmus.svc';
const DAY = 86_400_000;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

interface WallClock extends Clock {
  wall: number;
  /** Resolves when the next pass has ended: it has set the time of the one after. */
  passed: () => Promise<void>;
  /** Brings the next pass about. */
  fire: () => void;
}

/** Wall time that the test sets. The controller's own looks at it come when the test brings them about, by changes or by `fire`. */
function wallClock(): WallClock {
  let ended = Promise.withResolvers<void>();
  let next: (() => void) | undefined;
  return {
    wall: Date.now(),
    now: () => systemClock.now(),
    wallNow() {
      return this.wall;
    },
    after(_ms, work) {
      next = work;
      ended.resolve();
      ended = Promise.withResolvers();
      return { cancel: () => {} };
    },
    passed: () => ended.promise,
    fire: () => next?.(),
  };
}

async function world(prepare: (api: FakeApiServer) => void = () => {}) {
  const api = await new FakeApiServer({ checkNamespaces: false }).start();
  cleanups.push(() => api.stop());
  api.put(resources.mutatingWebhookConfigurations, {
    metadata: { name: object.injectorWebhook },
    webhooks: [{ name: 'injector.isthmus.dev', clientConfig: { caBundle: 'c3RhbGU=' } }],
  });
  prepare(api);
  const client = createClient(api.config());
  cleanups.push(() => client.close());
  return { api, client };
}

function start(client: ReturnType<typeof createClient>, make: MakeServingCertificate = makeTestCertificate) {
  const clock = wallClock();
  const served: ServingPair[] = [];
  const waiters = new Set<() => void>();
  const controller = createCertificateController({
    client,
    namespace: 'isthmus',
    dnsNames: [NAME],
    make,
    clock,
    random: () => 0,
    log: silentLog,
    onCertificate: (pair) => {
      served.push(pair);
      for (const waiter of waiters) waiter();
    },
  });
  controller.start();
  cleanups.push(() => controller.stop());
  const count = async (n: number): Promise<void> => {
    while (served.length < n) {
      await new Promise<void>((resolve) => {
        waiters.add(resolve);
      });
    }
  };
  return { controller, clock, served, count };
}

function caBundle(api: FakeApiServer): string {
  const configuration = api.find(resources.mutatingWebhookConfigurations, undefined, object.injectorWebhook);
  return Buffer.from(configuration?.webhooks?.[0]?.clientConfig.caBundle ?? '', 'base64').toString();
}

function held(api: FakeApiServer, key: string): string {
  const secret = api.find(resources.secrets, 'isthmus', object.injectorTlsSecret);
  return Buffer.from(secret?.data?.[key] ?? '', 'base64').toString();
}

test('the first start makes the Secret and writes its CA into the webhook configuration', async () => {
  const { api, client } = await world();
  const { served, count } = start(client);
  await count(1);
  await api.until(() => caBundle(api) === served[0]?.caBundle);
  assert.equal(held(api, 'tls.crt'), served[0]?.certificate);
  assert.ok(new X509Certificate(served[0]?.certificate ?? '').checkHost(NAME));
});

test('it is published once the API server knows who signed the certificate, or has no configuration to tell', async () => {
  const { api, client } = await world();
  let writesFail = true;
  api.fault = ({ method, path }) =>
    writesFail && method === 'PUT' && path.includes('mutatingwebhookconfigurations')
      ? { kind: 'status', code: 503 }
      : undefined;
  const { controller, clock, served, count } = start(client);
  await count(1);
  await clock.passed();
  assert.equal(controller.published, false);
  writesFail = false;
  clock.fire();
  while (!controller.published) await clock.passed();
  assert.equal(caBundle(api), served[0]?.caBundle);

  const other = await world((server) =>
    server.remove(resources.mutatingWebhookConfigurations, undefined, object.injectorWebhook),
  );
  const alone = start(other.client);
  await alone.count(1);
  while (!alone.controller.published) await alone.clock.passed();
});

test('what another replica made is taken', async () => {
  const pair = await makeServingPair(makeTestCertificate, [NAME], undefined, Date.now());
  const { api, client } = await world((server) =>
    server.put(resources.secrets, servingSecret(pair, 'isthmus')),
  );
  const { served, count } = start(client, () => assert.fail('a certificate is there'));
  await count(1);
  await api.until(() => caBundle(api) === pair.caBundle);
  assert.deepEqual(served, [pair]);
});

test('two replicas that start at once end with one Secret', async () => {
  const { api, client } = await world();
  const [a, b] = [start(client), start(client)];
  await Promise.all([a.count(1), b.count(1)]);
  const last = (): (string | undefined)[] => [a, b].map(({ served }) => served.at(-1)?.certificate);
  await api.until(() => last().every((certificate) => certificate === held(api, 'tls.crt')));
});

test('drift of the caBundle and loss of the Secret are repaired', async () => {
  const { api, client } = await world();
  const { served, count } = start(client);
  await count(1);
  await api.until(() => caBundle(api) === served[0]?.caBundle);
  api.put(resources.mutatingWebhookConfigurations, {
    metadata: { name: object.injectorWebhook },
    webhooks: [{ name: 'injector.isthmus.dev', clientConfig: { caBundle: '' } }],
  });
  await api.until(() => caBundle(api) === served[0]?.caBundle);
  api.remove(resources.secrets, 'isthmus', object.injectorTlsSecret);
  await count(2);
  await api.until(() => caBundle(api) === served[1]?.caBundle);
});

test('at 70 % of its life the certificate is renewed; the CA before stays believed', async () => {
  const { api, client } = await world();
  const { clock, served, count } = start(client);
  await count(1);
  await api.until(() => caBundle(api) === served[0]?.caBundle);
  clock.wall += 64 * DAY;
  api.put(resources.mutatingWebhookConfigurations, {
    metadata: { name: object.injectorWebhook, labels: { touched: 'true' } },
    webhooks: [{ name: 'injector.isthmus.dev', clientConfig: { caBundle: '' } }],
  });
  await count(2);
  await api.until(() => caBundle(api) === served[1]?.caBundle);
  const [before, now] = served;
  assert.notEqual(now?.certificate, before?.certificate);
  assert.ok(now?.caBundle.includes(new X509Certificate(before?.caBundle ?? '').toString()));
});

const broken: [what: string, change: (pair: ServingPair) => ServingPair | Promise<ServingPair>][] = [
  ['garbage', (pair) => ({ ...pair, certificate: 'garbage' })],
  [
    'another key',
    (pair) => ({
      ...pair,
      key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      }),
    }),
  ],
  [
    'another CA',
    async (pair) => ({
      ...pair,
      caBundle: (await makeServingPair(makeTestCertificate, [NAME], undefined, Date.now())).caBundle,
    }),
  ],
  ['another name', () => makeServingPair(makeTestCertificate, ['other.isthmus.svc'], undefined, Date.now())],
];

for (const [what, change] of broken) {
  test(`a Secret with ${what} is replaced`, async () => {
    const bad = await change(await makeServingPair(makeTestCertificate, [NAME], undefined, Date.now()));
    const { api, client } = await world((server) =>
      server.put(resources.secrets, servingSecret(bad, 'isthmus')),
    );
    const { served, count } = start(client);
    await count(1);
    assert.notEqual(served[0]?.certificate, bad.certificate);
    await api.until(() => held(api, 'tls.crt') === served[0]?.certificate);
  });
}
