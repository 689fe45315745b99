import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { dnsIdentity, spiffeId } from '../api/names.ts';
import {
  Extension,
  keyUsageFlag,
  KeyUsagesExtension,
  type Made,
  makeAnchor,
  makeCertificate,
  makeIssuer,
  makeLeaf,
  privateKeyPem,
  type Recipe,
  TRUST_DOMAIN,
  workload,
} from './testing/test-ca.ts';
import { type PeerIdentity, type TrustSnapshot, VerifyError, type VerifyReason } from './types.ts';
import { MAX_CHAIN, MAX_PRESENTED } from './verify-chain.ts';
import { PeerVerifier } from './verify-peer.ts';

const DAY_MS = 86_400_000;
const anchor = await makeAnchor();
const issuer = await makeIssuer(anchor, 'east');
const web = workload('web');

function verifierOf(anchors: readonly Made[], now: () => number = Date.now): PeerVerifier {
  const trust: TrustSnapshot = { version: 1, sequence: 1n, anchors: anchors.map((made) => made.x509) };
  return new PeerVerifier({ trustDomain: TRUST_DOMAIN, trust: () => trust, now });
}

function judge(leaf: Made, presented: readonly Made[], anchors: readonly Made[] = [anchor]) {
  return verifierOf(anchors).verify(leaf.x509, () => presented.map((made) => made.x509));
}

function assertRefused(judged: PeerIdentity | VerifyError, reason: VerifyReason): void {
  assert.ok(judged instanceof VerifyError, `accepted, but ${reason} was expected`);
  assert.equal(judged.reason, reason, judged.message);
}

function assertAccepted(judged: PeerIdentity | VerifyError): PeerIdentity {
  if (judged instanceof VerifyError) assert.fail(`${judged.reason}: ${judged.message}`);
  return judged;
}

describe('a leaf of our own issuer', () => {
  test('is accepted with both names', async () => {
    const leaf = await makeLeaf(issuer, web);
    const identity = assertAccepted(judge(leaf, [issuer]));
    assert.equal(identity.dnsName, dnsIdentity(web));
    assert.equal(identity.spiffeId, spiffeId(web));
    assert.deepEqual(identity.workload, {
      trustDomain: TRUST_DOMAIN,
      clusterId: 'east',
      namespace: 'shop',
      serviceAccount: 'web',
    });
  });

  test('is accepted whatever the order and the company of the presented certificates', async () => {
    const leaf = await makeLeaf(issuer, web);
    const stranger = await makeAnchor('stranger');
    const west = await makeIssuer(anchor, 'west');
    assertAccepted(judge(leaf, [anchor, stranger, west, leaf, issuer]));
  });

  test('is found among so many certificates beside it, and no more are looked at', async () => {
    const leaf = await makeLeaf(issuer, web);
    const strangers = await Promise.all(
      Array.from({ length: MAX_PRESENTED }, (_, i) => makeAnchor(`stranger ${i}`)),
    );
    assertAccepted(judge(leaf, [...strangers.slice(1), issuer]));
    assertRefused(judge(leaf, [...strangers, issuer]), 'unknown-anchor');
  });

  test('chains to its anchor by so many CA certificates, and by no more', async () => {
    // The anchor, what stands between, and the issuer.
    for (const [between, accepted] of [
      [MAX_CHAIN - 2, true],
      [MAX_CHAIN - 1, false],
    ] as const) {
      const root = await makeCertificate({ subject: 'CN=root', ca: true });
      const chain = [root];
      for (let i = 0; i < between; i++)
        chain.unshift(
          await makeCertificate({ subject: `CN=between ${i}`, ca: true, issuer: chain[0] ?? root }),
        );
      const last = await makeIssuer(chain[0] ?? root, 'east');
      const judged = judge(await makeLeaf(last, web), [last, ...chain], [root]);
      if (accepted) assertAccepted(judged);
      else assertRefused(judged, 'unknown-anchor');
    }
  });

  test('is accepted under any of several anchors, and no longer when its own is gone', async () => {
    const leaf = await makeLeaf(issuer, web);
    const next = await makeAnchor('next');
    assertAccepted(judge(leaf, [issuer], [next, anchor]));
    assertRefused(judge(leaf, [issuer], [next]), 'unknown-anchor');
  });
});

describe('each rule refuses the one who cheats on it', () => {
  const cases: [string, VerifyReason, Recipe][] = [
    ['two SPIFFE IDs', 'uri-san-count', { uri: [spiffeId(web), spiffeId(workload('admin'))] }],
    ['no SPIFFE ID, though the issuer is bound to a cluster', 'uri-san-count', { uri: [] }],
    ['no DNS name', 'dns-san-count', { dns: [] }],
    ['two DNS names', 'dns-san-count', { dns: [dnsIdentity(web), dnsIdentity(workload('admin'))] }],
    ['a SPIFFE ID of another cluster', 'issuer-cluster', { uri: [spiffeId(workload('web', 'west'))] }],
    ['names of two workloads', 'names-disagree', { dns: [dnsIdentity(workload('admin'))] }],
    ['another trust domain', 'trust-domain', { uri: [spiffeId({ ...web, trustDomain: 'evil.example' })] }],
    ['a URI that is no SPIFFE ID', 'bad-spiffe-id', { uri: ['https://cluster.local/cluster/east'] }],
    ['a SPIFFE ID without a path', 'bad-spiffe-id', { uri: [`spiffe://${TRUST_DOMAIN}`] }],
    ['a path with a trailing slash', 'bad-spiffe-id', { uri: [`${spiffeId(web)}/`] }],
    ['a query', 'bad-spiffe-id', { uri: [`${spiffeId(web)}?a=b`] }],
    [
      'an upper-case trust domain',
      'bad-spiffe-id',
      { uri: [spiffeId({ ...web, trustDomain: 'CLUSTER.local' })] },
    ],
    [
      'a SPIFFE ID beyond 2048 bytes',
      'bad-spiffe-id',
      { uri: [spiffeId({ ...web, serviceAccount: 'a'.repeat(2_048) })] },
    ],
    ['CA', 'leaf-is-ca', { ca: true, keyUsage: new KeyUsagesExtension(keyUsageFlag.digitalSignature, true) }],
    [
      'keyCertSign',
      'key-usage',
      { keyUsage: new KeyUsagesExtension(keyUsageFlag.digitalSignature | keyUsageFlag.keyCertSign, true) },
    ],
    [
      'cRLSign',
      'key-usage',
      { keyUsage: new KeyUsagesExtension(keyUsageFlag.digitalSignature | keyUsageFlag.cRLSign, true) },
    ],
    [
      'no digitalSignature',
      'key-usage',
      { keyUsage: new KeyUsagesExtension(keyUsageFlag.keyAgreement, true) },
    ],
    ['no key usage', 'key-usage', { keyUsage: 'none' }],
    ['for servers only', 'key-usage', { extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }],
    ['expired', 'expired', { notBefore: Date.now() - 2 * DAY_MS, notAfter: Date.now() - DAY_MS }],
    ['of tomorrow', 'not-yet-valid', { notBefore: Date.now() + DAY_MS, notAfter: Date.now() + 2 * DAY_MS }],
    [
      'an unknown critical extension',
      'malformed',
      { extraExtensions: [new Extension('1.2.3.4', true, Buffer.from([5, 0]))] },
    ],
  ];
  for (const [name, reason, recipe] of cases) {
    test(name, async () => assertRefused(judge(await makeLeaf(issuer, web, recipe), [issuer]), reason));
  }

  test('an issuer that no anchor signed', async () => {
    const forged = await makeIssuer(await makeAnchor(), 'east');
    assertRefused(judge(await makeLeaf(forged, web), [forged]), 'unknown-anchor');
  });

  test('an anchor of the same name that the peer brings itself', async () => {
    const forgedAnchor = await makeAnchor();
    const forged = await makeIssuer(forgedAnchor, 'east');
    assertRefused(judge(await makeLeaf(forged, web), [forged, forgedAnchor]), 'unknown-anchor');
  });

  test("an issuer of another cluster that signs for this one's workloads", async () => {
    const west = await makeIssuer(anchor, 'west');
    assertRefused(judge(await makeLeaf(west, web), [west, issuer]), 'issuer-cluster');
  });

  test('an issuer of another cluster that makes itself an issuer of this one', async () => {
    const west = await makeIssuer(anchor, 'west');
    const forged = await makeIssuer(west, 'east');
    assertRefused(judge(await makeLeaf(forged, web), [forged, west]), 'unknown-anchor');
  });

  test('a workload that signs for another with its own leaf', async () => {
    const attacker = await makeLeaf(issuer, workload('attacker'), { subject: 'CN=attacker' });
    assertRefused(judge(await makeLeaf(attacker, web), [attacker, issuer]), 'unknown-anchor');
  });

  test('an issuer bound to two clusters', async () => {
    const both = await makeIssuer(anchor, 'east', {
      dns: ['east.cluster.identity.cluster.local', 'west.cluster.identity.cluster.local'],
    });
    assertRefused(judge(await makeLeaf(both, web), [both]), 'issuer-cluster');
  });

  test('an issuer bound to no cluster that writes SPIFFE IDs', async () => {
    const unbound = await makeIssuer(anchor, 'east', { dns: [] });
    assertRefused(judge(await makeLeaf(unbound, web), [unbound]), 'issuer-cluster');
  });

  test('an issuer without keyCertSign', async () => {
    const weak = await makeIssuer(anchor, 'east', {
      keyUsage: new KeyUsagesExtension(keyUsageFlag.cRLSign, true),
    });
    assertRefused(judge(await makeLeaf(weak, web), [weak]), 'unknown-anchor');
  });

  test('an expired issuer under a leaf that is still valid', async () => {
    const old = await makeIssuer(anchor, 'east', { notAfter: Date.now() - 1_000 });
    assertRefused(judge(await makeLeaf(old, web), [old]), 'expired');
  });

  test('an expired anchor', async () => {
    const oldAnchor = await makeAnchor('old', { notAfter: Date.now() - 1_000 });
    const old = await makeIssuer(oldAnchor, 'east');
    assertRefused(judge(await makeLeaf(old, web), [old], [oldAnchor]), 'expired');
  });

  test('a leaf directly below the anchor with a SPIFFE ID', async () => {
    assertRefused(judge(await makeLeaf(anchor, web), []), 'issuer-cluster');
  });

  test('a changed byte in the signed part', async () => {
    const leaf = await makeLeaf(issuer, web);
    const bytes = Buffer.from(leaf.x509.raw);
    const at = bytes.indexOf('/sa/web');
    bytes.write('/sa/adm', at, 'latin1');
    const forged = new X509Certificate(bytes);
    assertRefused(
      verifierOf([anchor]).verify(forged, () => [issuer.x509]),
      'unknown-anchor',
    );
  });
});

test("Linkerd's leaf, with a DNS name alone, is an identity without a SPIFFE ID", async () => {
  const linkerd = await makeCertificate({
    subject: 'CN=identity.linkerd.cluster.local',
    issuer: anchor,
    ca: true,
    pathLength: 0,
    dns: ['identity.linkerd.cluster.local'],
  });
  const dnsName = 'web.shop.serviceaccount.identity.linkerd.cluster.local';
  const leaf = await makeLeaf(linkerd, web, { dns: [dnsName], uri: [] });
  const identity = assertAccepted(judge(leaf, [linkerd]));
  assert.equal(identity.dnsName, dnsName);
  assert.equal(identity.spiffeId, undefined);
});

test('what was remembered is forgotten with the anchors, and with time', async () => {
  const next = await makeAnchor('next');
  const leaf = await makeLeaf(issuer, web);
  let trust: TrustSnapshot = { version: 1, sequence: 1n, anchors: [anchor.x509] };
  let now = Date.now();
  const verifier = new PeerVerifier({ trustDomain: TRUST_DOMAIN, trust: () => trust, now: () => now });
  const first = assertAccepted(verifier.verify(leaf.x509, () => [issuer.x509]));
  assert.equal(assertAccepted(verifier.verify(leaf.x509, () => assert.fail('looked again'))), first);

  now += 40 * DAY_MS;
  assertRefused(
    verifier.verify(leaf.x509, () => [issuer.x509]),
    'expired',
  );
  now -= 40 * DAY_MS;
  trust = { version: 2, sequence: 2n, anchors: [next.x509] };
  assertRefused(
    verifier.verify(leaf.x509, () => [issuer.x509]),
    'unknown-anchor',
  );
});

test('beyond so many leaves the one that was remembered first is judged again', async () => {
  const leaves = [await makeLeaf(issuer, web), await makeLeaf(issuer, web), await makeLeaf(issuer, web)];
  const trust: TrustSnapshot = { version: 1, sequence: 1n, anchors: [anchor.x509] };
  const verifier = new PeerVerifier({
    trustDomain: TRUST_DOMAIN,
    trust: () => trust,
    now: Date.now,
    cacheEntries: 2,
  });
  const judged: number[] = [];
  for (const i of [0, 1, 0, 2, 1, 0]) {
    const { x509 } = leaves[i] ?? assert.fail('no such leaf');
    const presented = (): X509Certificate[] => {
      judged.push(i);
      return [issuer.x509];
    };
    assertAccepted(verifier.verify(x509, presented));
  }
  assert.deepEqual(judged, [0, 1, 2, 0]);
});

test('4,096 leaves are remembered where nothing else is said', async () => {
  const { x509 } = await makeLeaf(issuer, web);
  /** As many leaves as are wanted of one that is good: they are known by their fingerprints. */
  const leaf = (i: number): X509Certificate =>
    new Proxy(x509, {
      get(target, name) {
        if (name === 'fingerprint256') return i.toString(16).padStart(64, '0');
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const trust: TrustSnapshot = { version: 1, sequence: 1n, anchors: [anchor.x509] };
  const verifier = new PeerVerifier({ trustDomain: TRUST_DOMAIN, trust: () => trust, now: Date.now });
  let judged = 0;
  const ask = (i: number): void =>
    void assertAccepted(
      verifier.verify(leaf(i), () => {
        judged++;
        return [issuer.x509];
      }),
    );
  for (let i = 0; i < 4_096; i++) ask(i);
  ask(0);
  assert.equal(judged, 4_096);
  ask(4_096);
  ask(1);
  assert.equal(judged, 4_097);
  ask(0);
  assert.equal(judged, 4_098);
});

describe('over a real handshake', () => {
  async function handshake(
    client: Made | undefined,
    server: Made,
  ): Promise<{ server: TLSSocket; client: TLSSocket; close: () => void }> {
    const contextOf = async (leaf: Made) =>
      createSecureContext({
        key: await privateKeyPem(leaf),
        cert: leaf.pem + issuer.pem,
        ca: anchor.pem,
        minVersion: 'TLSv1.3',
      });
    const serverContext = await contextOf(server);
    const clientContext = client === undefined ? undefined : await contextOf(client);
    const listener = createServer();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const tcp = connectTcp((listener.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = await once(listener, 'connection');
    const serverSocket = new TLSSocket(accepted, {
      isServer: true,
      secureContext: serverContext,
      requestCert: true,
      rejectUnauthorized: false,
    });
    const clientSocket = connectTls({
      socket: tcp,
      rejectUnauthorized: false,
      ...(clientContext === undefined ? { ca: anchor.pem } : { secureContext: clientContext }),
    });
    await Promise.all([once(serverSocket, 'secure'), once(clientSocket, 'secureConnect')]);
    return {
      server: serverSocket,
      client: clientSocket,
      close: () => {
        clientSocket.destroy();
        serverSocket.destroy();
        listener.close();
      },
    };
  }

  test('both sides learn who the other is', async () => {
    const east = await makeLeaf(issuer, workload('client'));
    const pair = await handshake(east, await makeLeaf(issuer, web));
    try {
      const verifier = verifierOf([anchor]);
      assert.equal(assertAccepted(verifier.verifySocket(pair.client)).spiffeId, spiffeId(web));
      assert.equal(assertAccepted(verifier.verifySocket(pair.server)).spiffeId, spiffeId(workload('client')));
    } finally {
      pair.close();
    }
  });

  test('a client without a certificate is none', async () => {
    const pair = await handshake(undefined, await makeLeaf(issuer, web));
    try {
      assertRefused(verifierOf([anchor]).verifySocket(pair.server), 'no-certificate');
    } finally {
      pair.close();
    }
  });
});
