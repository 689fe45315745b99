import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { TrustBundleSchema } from '../api/proto/gen/isthmus/control_pb.js';
import { dnsIdentity, spiffeId } from '../api/names.ts';
import type { Certifier } from './certify-client.ts';
import { createResolver } from './resolver.ts';
import { FakeControlPlane } from './testing/fake-control-plane.ts';
import { ManualClock } from './testing/manual-clock.ts';
import { type Made, makeAnchor, makeIssuer, makeLeaf, requestedKey, workload } from './testing/test-ca.ts';
import { type Logger, VerifyError, type WorkloadIdentity } from './types.ts';
import { createWorkloadIdentity, type WorkloadIdentityOptions } from './workload-identity.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** ms before its issue from which a certificate holds. */
const SKEW_MS = 20_000;
/** ms between looks at the clock. */
const CHECK_MS = 30_000;
const anchor = await makeAnchor();
const issuer = await makeIssuer(anchor, 'east');
const web = workload('web');
/** Valid since long ago, for clocks that are set back. */
const oldAnchor = await makeAnchor('old root', { notBefore: Date.now() - 30 * DAY_MS });
const old = await makeIssuer(oldAnchor, 'east', { notBefore: Date.now() - 30 * DAY_MS });
const dir = await mkdtemp(join(tmpdir(), 'identity-'));
const tokenFile = join(dir, 'token');
await writeFile(tokenFile, 'token-1');
after(() => rm(dir, { recursive: true }));

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface LogLine {
  level: string;
  fields: Record<string, unknown>;
  message: string;
}

function recordingLogger(): Logger & { lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields: fields as Record<string, unknown>, message });
  };
  return { lines, debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

let files = 0;
async function anchorsFile(content: string): Promise<string> {
  const file = join(dir, `anchors-${files++}.crt`);
  await writeFile(file, content);
  return file;
}

async function fakeControlPlane(
  options: { issuer?: Made; anchors?: Made[]; clusterId?: string; started?: boolean } = {},
): Promise<FakeControlPlane> {
  const control = new FakeControlPlane(options.issuer ?? issuer, web);
  cleanups.push(() => control.stop());
  await control.start(options.anchors ?? [anchor], options.clusterId);
  if (options.started === false) await control.stop();
  return control;
}

async function start(
  control: FakeControlPlane,
  options: Partial<WorkloadIdentityOptions> = {},
): Promise<WorkloadIdentity> {
  const identity = createWorkloadIdentity({
    names: web,
    podName: 'web-1',
    anchorsFile: await anchorsFile(anchor.pem),
    certify: { kind: 'service', address: control.address, tokenFile },
    trustBundleAddress: control.address,
    resolve: createResolver({}),
    logger: recordingLogger(),
    ...options,
  });
  cleanups.push(() => identity.stop());
  return identity;
}

/** An identity service in this process, whose clock is not ours. `lives.ms`: for how long its certificates hold. */
function issuingAt(now: () => number): { certifier: Certifier; lives: { ms: number } } {
  const lives = { ms: DAY_MS };
  const certifier: Certifier = async ({ csr }) => {
    const publicKey = requestedKey(csr);
    const notAfter = now() + lives.ms;
    const leaf = await makeLeaf(old, web, { publicKey, notBefore: now() - SKEW_MS, notAfter });
    return { leaf: leaf.x509.raw, intermediates: [old.x509.raw], validUntil: notAfter };
  };
  return { certifier, lives };
}

async function startLocal(clock: ManualClock, certifier: Certifier): Promise<WorkloadIdentity> {
  const identity = createWorkloadIdentity({
    names: web,
    podName: 'web-1',
    anchorsFile: await anchorsFile(oldAnchor.pem),
    certify: { kind: 'local', certifier },
    resolve: createResolver({}),
    logger: recordingLogger(),
    clock,
  });
  cleanups.push(() => identity.stop());
  return identity;
}

/** Resolves once `predicate` holds, looked at on every change. */
function until(identity: WorkloadIdentity, predicate: () => boolean): Promise<void> {
  if (predicate()) return Promise.resolve();
  return new Promise((resolve) => {
    const off = identity.onChange(() => {
      if (!predicate()) return;
      off();
      resolve();
    });
  });
}

function bundle(sequence: bigint, anchors: Made[]) {
  return create(TrustBundleSchema, { sequence, anchors: anchors.map((made) => made.x509.raw) });
}

describe('the certificate', () => {
  test('comes from the identity service, for the token of the file and with the own names', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    assert.equal(identity.state.kind, 'certified');
    assert.equal(identity.dnsName, dnsIdentity(web));
    assert.equal(identity.spiffeId, spiffeId(web));
    assert.equal(control.requests[0]?.identity, dnsIdentity(web));
    assert.equal(Buffer.from(control.requests[0]?.token ?? []).toString(), 'token-1');
  });

  test('is asked for until the identity service is there', async () => {
    const control = await fakeControlPlane({ started: false });
    const identity = await start(control);
    await until(identity, () => identity.state.kind === 'waiting' && identity.state.attempts > 0);
    assert.equal(identity.serverOptions(), undefined);
    await control.start([anchor]);
    await identity.ready;
    assert.notEqual(identity.serverOptions(), undefined);
  });

  test('is renewed at 70 % of its life, with the token that the file holds then', async () => {
    const clock = new ManualClock(Date.now());
    const control = await fakeControlPlane();
    control.now = () => clock.now();
    const identity = await start(control, { clock, trustBundleAddress: undefined });
    await identity.ready;
    const before = identity.serverOptions();
    // A whole number of the looks at the clock, so that the one which finds it due is the last thing to happen below.
    clock.advance(1_987 * 30_000);
    assert.equal(control.requests.length, 1);
    await writeFile(tokenFile, 'token-2');
    clock.advance((2_016 - 1_987) * 30_000);
    await until(identity, () => identity.serverOptions() !== before);
    assert.equal(control.requests.length, 2);
    assert.equal(Buffer.from(control.requests[1]?.token ?? []).toString(), 'token-2');
    await writeFile(tokenFile, 'token-1');
  });

  test('is renewed at once when the wall clock has jumped ahead by a day', async () => {
    const clock = new ManualClock(Date.now());
    const control = await fakeControlPlane();
    control.now = () => clock.now();
    const identity = await start(control, { clock, trustBundleAddress: undefined });
    await identity.ready;
    const before = identity.serverOptions();
    clock.jump(DAY_MS + 60_000);
    clock.advance(30_000);
    await until(identity, () => identity.state.kind === 'certified' && identity.serverOptions() !== before);
    const { state } = identity;
    assert.ok(state.kind === 'certified' && state.certificate.validUntil > clock.now());
  });

  for (const { aheadMs, told } of [
    { aheadMs: -DAY_MS - HOUR_MS, told: /expired at/ },
    { aheadMs: HOUR_MS, told: /is not valid before .*: compare the clocks/ },
    { aheadMs: DAY_MS, told: /is not valid before .*: compare the clocks/ },
  ])
    test(`of a service whose clock differs by ${aheadMs / HOUR_MS} h is refused, and got once the clocks agree`, async () => {
      const clock = new ManualClock(Date.now());
      let agree = false;
      const { certifier } = issuingAt(() => clock.now() + (agree ? 0 : aheadMs));
      const identity = await startLocal(clock, certifier);
      await until(identity, () => identity.state.kind === 'waiting' && identity.state.attempts > 0);
      assert.match(String(identity.state.kind === 'waiting' && identity.state.lastError), told);
      assert.equal(identity.serverOptions(), undefined);
      agree = true;
      clock.advance(CHECK_MS);
      await identity.ready;
    });

  test('of a service whose clock is an hour behind is taken, and renewed in time', async () => {
    const clock = new ManualClock(Date.now());
    const { certifier } = issuingAt(() => clock.now() - HOUR_MS);
    const identity = await startLocal(clock, certifier);
    await identity.ready;
    const { state } = identity;
    assert.ok(state.kind === 'certified');
    assert.ok(state.certificate.validUntil <= clock.now() + 23 * HOUR_MS);
    assert.ok(state.renewAt < state.certificate.validUntil);
  });

  test('ends when its chain does, whatever the service says', async () => {
    const clock = new ManualClock(Date.now());
    const { certifier, lives } = issuingAt(() => clock.now());
    lives.ms = HOUR_MS;
    const identity = await startLocal(clock, async (request) => ({
      ...(await certifier(request)),
      validUntil: clock.now() + DAY_MS,
    }));
    await identity.ready;
    const { state } = identity;
    assert.ok(state.kind === 'certified');
    assert.ok(state.certificate.validUntil <= clock.now() + HOUR_MS);
    assert.ok(state.renewAt < clock.now() + HOUR_MS);
  });

  test('is asked for anew when the wall clock is set back to before its issue', async () => {
    const clock = new ManualClock(Date.now());
    const { certifier } = issuingAt(() => clock.now());
    const identity = await startLocal(clock, certifier);
    await identity.ready;
    const before = identity.serverOptions();
    clock.jump(-DAY_MS);
    clock.advance(CHECK_MS);
    await until(identity, () => identity.state.kind === 'certified' && identity.serverOptions() !== before);
    const { state } = identity;
    assert.ok(state.kind === 'certified' && state.certificate.issuedAt === clock.now());
  });

  test('of another cluster is refused, and asked for again', async () => {
    const west = await makeIssuer(anchor, 'west');
    const control = new FakeControlPlane(west, workload('web', 'west'));
    cleanups.push(() => control.stop());
    await control.start([anchor], 'west');
    const identity = await start(control);
    await until(identity, () => identity.state.kind === 'waiting' && identity.state.attempts > 0);
    assert.equal(control.requests.length, 0, "the token went to another cluster's control plane");
    assert.match(
      String(identity.state.kind === 'waiting' && identity.state.lastError),
      /cluster\/east.*cluster\/west/,
    );
  });

  test('for somebody else is refused', async () => {
    const control = new FakeControlPlane(issuer, workload('admin'));
    cleanups.push(() => control.stop());
    await control.start([anchor]);
    const identity = await start(control);
    await until(identity, () => identity.state.kind === 'waiting' && identity.state.attempts > 0);
    assert.match(
      String(identity.state.kind === 'waiting' && identity.state.lastError),
      /certificate for admin\.shop/,
    );
  });

  test('stays in use while renewals fail, and the failure is told', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    control.certify = () => Promise.reject(new Error('out of order'));
    identity.renew();
    await until(
      identity,
      () => identity.state.kind === 'certified' && identity.state.lastError !== undefined,
    );
    assert.notEqual(identity.serverOptions(), undefined);
    assert.match(String(identity.state.kind === 'certified' && identity.state.lastError), /out of order/);
  });

  test('is asked for anew at once when its anchor has gone', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    await control.until(() => control.acknowledgements.length === 1);
    const next = await makeAnchor('next');
    control.syncs[0]?.write(bundle(2n, [anchor, next]));
    await control.until(() => control.acknowledgements.length === 2);
    assert.equal(control.requests.length, 1);
    control.syncs[0]?.write(bundle(3n, [next]));
    // The control plane of this test goes on with the old anchor, so that the request fails; that it is made is what counts.
    await until(
      identity,
      () => identity.state.kind === 'certified' && identity.state.lastError !== undefined,
    );
    assert.match(
      String(identity.state.kind === 'certified' && identity.state.lastError),
      new RegExp(`no connection to ${RegExp.escape(control.address)}`),
    );
  });

  test('shows in metrics by the names of Linkerd', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    const metrics = new Map(identity.metrics().map((metric) => [metric.name, metric.value]));
    assert.equal(metrics.get('control_identity_cert_refreshes_total'), 1);
    const expiry = metrics.get('control_identity_cert_expiration_timestamp_seconds') ?? 0;
    assert.ok(Math.abs(expiry * 1000 - Date.now() - DAY_MS) < 60_000);
  });
});

describe('the trust bundle', () => {
  test('is applied without a restart and acknowledged', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    await control.until(() => control.acknowledgements.length === 1);
    assert.equal(control.acknowledgements[0]?.sequence, 0n);
    assert.equal(control.acknowledgements[0]?.namespace, 'shop');
    assert.equal(control.acknowledgements[0]?.workload, 'web-1');

    const next = await makeAnchor('next');
    const before = identity.serverOptions();
    control.syncs[0]?.write(bundle(7n, [anchor, next]));
    await control.until(() => control.acknowledgements.length === 2);
    assert.equal(control.acknowledgements[1]?.sequence, 7n);
    assert.equal(control.acknowledgements[1]?.error, '');
    assert.equal(identity.trust?.sequence, 7n);
    assert.equal(identity.trust?.anchors.length, 2);
    assert.notEqual(identity.serverOptions(), before);
  });

  test('that is older, empty or garbage is refused with a reason', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await control.until(() => control.acknowledgements.length === 1);
    control.syncs[0]?.write(bundle(7n, [anchor]));
    control.syncs[0]?.write(bundle(6n, [anchor, await makeAnchor('next')]));
    control.syncs[0]?.write(bundle(8n, []));
    control.syncs[0]?.write(create(TrustBundleSchema, { sequence: 9n, anchors: [Buffer.from('garbage')] }));
    await control.until(() => control.acknowledgements.length === 5);
    const [older, empty, garbage] = control.acknowledgements.slice(2);
    assert.match(older?.error ?? '', /older than bundle 7/);
    assert.match(empty?.error ?? '', /no trust anchors/);
    assert.match(garbage?.error ?? '', /not a certificate/);
    for (const ack of [older, empty, garbage]) assert.equal(ack?.sequence, 7n);
    assert.equal(identity.trust?.anchors.length, 1);
  });

  test('stream is resumed after it broke, and says what is in use', async () => {
    const control = await fakeControlPlane();
    await start(control);
    await control.until(() => control.acknowledgements.length === 1);
    control.syncs[0]?.write(bundle(3n, [anchor]));
    await control.until(() => control.acknowledgements.length === 2);
    await control.stop();
    await control.start([anchor]);
    await control.until(() => control.acknowledgements.length === 3);
    assert.equal(control.acknowledgements[2]?.sequence, 3n);
  });
});

describe('the anchors file', () => {
  test('with garbage keeps the old anchors and is told; a good one heals it', async () => {
    const clock = new ManualClock(Date.now());
    const control = await fakeControlPlane();
    const logger = recordingLogger();
    const file = await anchorsFile(anchor.pem);
    const identity = await start(control, {
      clock,
      logger,
      anchorsFile: file,
      trustBundleAddress: undefined,
    });
    await identity.ready;
    await writeFile(file, 'garbage');
    const told = Promise.withResolvers<LogLine>();
    logger.error = (fields, message) => {
      told.resolve({ level: 'error', fields: fields as Record<string, unknown>, message });
    };
    clock.advance(30_000);
    assert.match((await told.promise).message, /former anchors stay in use/);
    assert.equal(identity.trust?.anchors[0]?.fingerprint256, anchor.x509.fingerprint256);

    await writeFile(file, anchor.pem + (await makeAnchor('next')).pem);
    await Promise.all([
      until(identity, () => identity.trust?.anchors.length === 2),
      advanceUntil(clock, identity, 2),
    ]);
  });

  test('that is not there yet is waited for', async () => {
    const clock = new ManualClock(Date.now());
    const control = await fakeControlPlane();
    const file = join(dir, 'late.crt');
    const identity = await start(control, { clock, anchorsFile: file, trustBundleAddress: undefined });
    await writeFile(file, anchor.pem);
    await advanceUntil(clock, identity, 1);
    await identity.ready;
  });

  /** The file is read between ticks of the clock, so each tick is followed by a turn of the event loop. */
  async function advanceUntil(
    clock: ManualClock,
    identity: WorkloadIdentity,
    anchors: number,
  ): Promise<void> {
    while (identity.trust?.anchors.length !== anchors) {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
});

describe('TLS between two identities', () => {
  async function connect(
    client: WorkloadIdentity | undefined,
    server: WorkloadIdentity,
    options: { expect?: string; required?: boolean; session?: Buffer } = {},
  ): Promise<{ client: TLSSocket; accepted: Promise<TLSSocket> }> {
    const listener = createServer();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    cleanups.push(() => listener.close());
    const accepted = once(listener, 'connection').then(([raw]) => {
      const socket = new TLSSocket(
        raw,
        server.serverOptions({
          alpn: ['isthmus/1'],
          clientCertificate: options.required === false ? 'optional' : 'required',
        }),
      );
      cleanups.push(() => socket.destroy());
      return socket;
    });
    const tcp = connectTcp((listener.address() as AddressInfo).port, '127.0.0.1');
    const tlsOptions = client?.clientOptions({
      alpn: ['isthmus/1'],
      expect: { spiffeId: options.expect ?? server.spiffeId, dnsName: server.dnsName },
    });
    const socket = connectTls({
      socket: tcp,
      ...(options.session === undefined ? {} : { session: options.session }),
      ...(tlsOptions ?? { rejectUnauthorized: false, ALPNProtocols: ['isthmus/1'] }),
    });
    cleanups.push(() => socket.destroy());
    return { client: socket, accepted };
  }

  test('is 1.3 with AES128-GCM and X25519, both sides verified, and nothing to resume', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    const { client, accepted } = await connect(identity, identity);
    const sessions: Buffer[] = [];
    client.on('session', (session: Buffer) => sessions.push(session));
    const server = await accepted;
    await Promise.all([once(client, 'secureConnect'), once(server, 'secure')]);
    assert.equal(client.getProtocol(), 'TLSv1.3');
    assert.equal(client.getCipher().standardName, 'TLS_AES_128_GCM_SHA256');
    assert.equal(client.alpnProtocol, 'isthmus/1');
    assert.deepEqual(client.getEphemeralKeyInfo(), { type: 'ECDH', name: 'X25519', size: 253 });
    const judged = identity.verifyPeer(server);
    assert.ok(!(judged instanceof VerifyError));
    assert.equal(judged.spiffeId, identity.spiffeId);
    server.write('x');
    await once(client, 'data');
    assert.ok(sessions.length > 0, 'nothing was there to try with');
    for (const session of sessions) {
      const again = await connect(identity, identity, { session });
      await once(again.client, 'secureConnect');
      assert.equal(again.client.isSessionReused(), false);
    }
  });

  test('fails on the client when the server is someone else', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    const { client } = await connect(identity, identity, { expect: spiffeId(workload('admin')) });
    const [error] = await once(client, 'error');
    assert.ok(error instanceof VerifyError);
    assert.equal(error.reason, 'unexpected-identity');
  });

  test('a client without a certificate is refused in the handshake, or told apart where it is optional', async () => {
    const control = await fakeControlPlane();
    const identity = await start(control);
    await identity.ready;
    const strict = await connect(undefined, identity);
    const server = await strict.accepted;
    strict.client.on('error', () => {});
    await once(server, 'error');

    const lax = await connect(undefined, identity, { required: false });
    const open = await lax.accepted;
    await once(open, 'secure');
    const judged = identity.verifyPeer(open);
    assert.ok(judged instanceof VerifyError);
    assert.equal(judged.reason, 'no-certificate');
  });
});
