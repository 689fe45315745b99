import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CertifyRequestSchema } from '../api/proto/gen/linkerd/identity_pb.js';
import { component, dnsIdentity, spiffeId } from '../api/names.ts';
import { resources } from '../kubernetes/resources.ts';
import { becomes } from '../test/testing/eventually.ts';
import { type Clock, GrpcError, grpcStatus, systemClock, writeCsr } from '../workload-identity/index.ts';
import { createIssuer, createTrustAnchor } from './index.ts';
import {
  type IdentitySuite,
  openIdentitySuite,
  openWorld,
  putIssuer,
  type World,
  workloadKeys as keys,
} from './testing/world.ts';

let suite: IdentitySuite;
let token: string;
const cleanups: (() => unknown)[] = [];

before(async () => {
  suite = await openIdentitySuite();
  token = await suite.api.token(suite.shop, 'web', ['identity.l5d.io']);
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await suite.api.clear();
});
after(() => suite.api.close());

async function ready(options: Parameters<typeof openWorld>[2] = {}): Promise<World> {
  const world = await openWorld(suite, cleanups, options);
  await suite.api.until(() => world.services.notReady() === undefined);
  return world;
}

function request(change: { identity?: string; token?: string; csr?: Uint8Array } = {}) {
  const { identity = suite.webIdentity, csr = writeCsr(keys, suite.webIdentity) } = change;
  return create(CertifyRequestSchema, {
    identity,
    token: Buffer.from(change.token ?? token),
    certificateSigningRequest: csr,
  });
}

function refusedWith(code: number, message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof GrpcError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.details, message);
    return true;
  };
}

const hasEvent = (reason: string) => (): boolean =>
  suite.api.list(resources.events).some((event) => event.reason === reason);

describe('Certify', () => {
  test('answers the owner of a token with a leaf, its issuer and its end', async () => {
    const { services } = await ready();
    const answer = await services.certify(request());
    const leaf = new X509Certificate(answer.leafCertificate);
    assert.equal(leaf.subjectAltName, `DNS:${suite.webIdentity}, URI:${spiffeId(suite.web)}`);
    assert.deepEqual(
      answer.intermediateCertificates.map((der) => new X509Certificate(der).fingerprint256),
      [new X509Certificate(suite.issuer.certificate).fingerprint256],
    );
    assert.equal(Number(answer.validUntil?.seconds) * 1000, leaf.validToDate.getTime());
    await suite.api.until(hasEvent('IssuedLeafCertificate'));
    const event = suite.api.list(resources.events).find(({ reason }) => reason === 'IssuedLeafCertificate');
    assert.equal(event?.involvedObject.name, 'web');
    assert.equal(event.metadata?.namespace, suite.shop);
  });

  test('refuses what is not right, each with its code', async () => {
    const { services } = await ready();
    const { web, webIdentity, api, shop } = suite;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const other = dnsIdentity({ ...web, serviceAccount: 'admin' });
    const broken = writeCsr(keys, webIdentity);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    const { invalidArgument, unauthenticated, permissionDenied } = grpcStatus;
    const cases: [string, Parameters<typeof request>[0], number, RegExp][] = [
      ['no identity', { identity: '' }, invalidArgument, /names no identity/],
      ['no token', { token: '' }, invalidArgument, /no token/],
      ['no request', { csr: new Uint8Array() }, invalidArgument, /no certificate signing request/],
      ['a request that is garbage', { csr: Buffer.from('garbage') }, invalidArgument, /not acceptable/],
      ['a request of which one bit was changed', { csr: broken }, invalidArgument, /not acceptable/],
      ['a key that is not P-256', { csr: writeCsr(p384, webIdentity) }, invalidArgument, /P-256/],
      ["a request for another's identity", { csr: writeCsr(keys, other) }, invalidArgument, /is for admin\./],
      [
        "another's identity in both places",
        { identity: other, csr: writeCsr(keys, other) },
        permissionDenied,
        /the token is that of web\./,
      ],
      ['a token that is none', { token: 'gone' }, unauthenticated, /the token was not accepted/],
      [
        'a token for the API server',
        { token: await api.token(shop, 'web') },
        unauthenticated,
        /the token was not accepted/,
      ],
      [
        'a token of which one letter was changed',
        { token: token.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')) },
        unauthenticated,
        /the token was not accepted/,
      ],
    ];
    for (const [name, change, code, message] of cases)
      await assert.rejects(services.certify(request(change)), refusedWith(code, message), name);
  });

  test('takes no token of an account that is gone', async () => {
    const { services } = await ready();
    const { api, shop } = suite;
    await api.client.create(resources.serviceAccounts, { metadata: { name: 'leaver', namespace: shop } });
    const left = await api.token(shop, 'leaver', ['identity.l5d.io']);
    await api.client.delete(resources.serviceAccounts, shop, 'leaver');
    const identity = dnsIdentity({ ...suite.web, serviceAccount: 'leaver' });
    const ofLeaver = request({ identity, csr: writeCsr(keys, identity), token: left });
    // An API server goes by what it has seen of accounts, and accepts for 10 s what it has accepted.
    const refused = async (): Promise<true> => {
      const notAccepted = refusedWith(grpcStatus.unauthenticated, /the token was not accepted/);
      await assert.rejects(services.certify(ofLeaver), notAccepted);
      return true;
    };
    await becomes('a token whose account is gone to be refused', refused, { limitMs: 60_000, everyMs: 100 });
  });

  test('never shows a token in what it answers', async () => {
    const { services } = await ready();
    await assert.rejects(services.certify(request({ token: 'secret-token' })), (error: Error) => {
      assert.doesNotMatch(error.message, /secret-token/);
      return true;
    });
  });

  test('is Unavailable while the API server does not answer', async () => {
    const { services, setDown } = await ready();
    setDown(true);
    await assert.rejects(
      services.certify(request()),
      refusedWith(grpcStatus.unavailable, /could not be reviewed/),
    );
    setDown(false);
    await services.certify(request());
  });

  test('is Unavailable while there is no issuer', async () => {
    const { services } = await openWorld(suite, cleanups, { issuer: 'none' });
    await assert.rejects(services.certify(request()), refusedWith(grpcStatus.unavailable, /no issuer yet/));
    await putIssuer(suite, suite.issuer);
    await suite.api.until(() => services.notReady() === undefined);
    await services.certify(request());
  });

  test('is FailedPrecondition once the issuer has expired', async () => {
    let now = Date.now();
    const clock: Clock = { ...systemClock, now: () => now };
    const { services } = await ready({ clock });
    now += 366 * 86_400_000;
    await assert.rejects(
      services.certify(request()),
      refusedWith(grpcStatus.failedPrecondition, /is not valid/),
    );
    assert.match(services.notReady() ?? '', /expired/);
  });

  test('gives the control plane its own certificate without a token', async () => {
    const { services } = await ready();
    const { settings, mesh, webIdentity } = suite;
    const own = dnsIdentity({ ...settings, namespace: mesh, serviceAccount: component.controlPlane });
    const issued = await services.certifier({ identity: own, csr: writeCsr(keys, own) });
    assert.match(
      new X509Certificate(issued.leaf).subjectAltName ?? '',
      new RegExp(`ns/${mesh}/sa/${component.controlPlane}`),
    );
    await assert.rejects(services.certifier({ identity: webIdentity, csr: writeCsr(keys, webIdentity) }));
  });

  test('gives the control plane its own certificate as soon as there is an issuer', async () => {
    const { services } = await openWorld(suite, cleanups, { issuer: 'none' });
    const { settings, mesh } = suite;
    const own = dnsIdentity({ ...settings, namespace: mesh, serviceAccount: component.controlPlane });
    const issued = services.certifier({ identity: own, csr: writeCsr(keys, own) });
    await putIssuer(suite, suite.issuer);
    assert.equal(new X509Certificate((await issued).leaf).checkPrivateKey(keys.privateKey), true);
  });
});

describe('the issuer', () => {
  test('is replaced without a restart; a bad one keeps the old, and is told by an event and a metric', async () => {
    const { services, registry } = await ready();
    const stranger = await createIssuer({ anchor: await createTrustAnchor(), ...suite.settings });
    await putIssuer(suite, stranger);
    await suite.api.until(hasEvent('IssuerValidationFailed'));
    await services.certify(request());
    assert.match(await registry.metrics(), /isthmus_identity_issuer_rejected 1/);

    const next = await createIssuer({ anchor: suite.anchor, ...suite.settings });
    await putIssuer(suite, next);
    await suite.api.until(hasEvent('IssuerUpdated'));
    const answer = await services.certify(request());
    const leaf = new X509Certificate(answer.leafCertificate);
    assert.ok(leaf.verify(new X509Certificate(next.certificate).publicKey));
    assert.match(await registry.metrics(), /isthmus_identity_issuer_rejected 0/);
  });

  test('shows in metrics how long it and the anchors live', async () => {
    const { registry } = await ready();
    const text = await registry.metrics();
    const seconds = Number(/^issuer_cert_ttl_seconds (\d+)/m.exec(text)?.[1]);
    assert.ok(seconds > 364 * 86_400 && seconds <= 365 * 86_400);
    assert.match(text, /^trust_anchor_cert_ttl_seconds\{fingerprint="[0-9A-F:]+"\} 3\d{8}/m);
  });
});
