import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { dnsIdentity, spiffeId } from '../api/names.ts';
import { PeerVerifier, readCertificate, readCsr, VerifyError, writeCsr } from '../workload-identity/index.ts';
import { createIssuer } from './issuer.ts';
import { readIssuer } from './issuer-material.ts';
import { CLOCK_SKEW_MS, issueLeaf, LEAF_LIFETIME_MS } from './leaf.ts';
import { createTrustAnchor, readTrustAnchor, writeTrustAnchor } from './trust-anchor.ts';
import { x509Library } from './x509-library.ts';

const TRUST_DOMAIN = 'cluster.local';
const DAY_MS = 86_400_000;
const now = Date.now();
const east = { clusterId: 'east', trustDomain: TRUST_DOMAIN };
const anchor = await createTrustAnchor();
const anchors = [new X509Certificate(anchor.certificate)];
const issuer = await createIssuer({ anchor, ...east });
const material = readIssuer(issuer, anchors, east, now);
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

async function inFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'trust-'));
  try {
    await body(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

describe('the trust anchor', () => {
  test('is a CA for one level of issuers, ten years long, with the trust domain as its name', () => {
    const facts = readCertificate(anchors[0]?.raw ?? Buffer.alloc(0));
    assert.equal(facts.ca, true);
    assert.equal(facts.pathLength, 1);
    assert.deepEqual(facts.names.uri, [`spiffe://${TRUST_DOMAIN}`]);
    assert.ok(facts.notAfter - now > 3_640 * DAY_MS);
    assert.equal(anchors[0]?.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  });

  test('is kept in files of which the key is for its owner only, and never overwritten', () =>
    inFolder(async (dir) => {
      await writeTrustAnchor(dir, anchor);
      assert.equal((await stat(join(dir, 'ca.key'))).mode & 0o777, 0o600);
      assert.deepEqual(await readTrustAnchor(dir), anchor);
      await assert.rejects(writeTrustAnchor(dir, anchor), /is there already/);
      assert.equal(await readFile(join(dir, 'ca.crt'), 'utf8'), anchor.certificate);
    }));

  test('that cannot be read, or whose key is broken, is an error that says so and does not show the key', () =>
    inFolder(async (dir) => {
      await assert.rejects(readTrustAnchor(dir), /isthmus trust create/);
      await writeFile(join(dir, 'ca.crt'), anchor.certificate);
      await writeFile(join(dir, 'ca.key'), 'SECRET');
      await assert.rejects(readTrustAnchor(dir), (error: Error) => {
        assert.match(error.message, /not an unencrypted PEM private key/);
        assert.doesNotMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), /SECRET/);
        return true;
      });
    }));

  test('with a name that is no trust domain is refused', async () => {
    await assert.rejects(createTrustAnchor({ trustDomain: 'Cluster.Local' }), /not a trust domain/);
  });
});

describe('an issuer', () => {
  test('is bound to its cluster, may sign leaves only, and lives for a year', () => {
    const facts = readCertificate(new X509Certificate(issuer.certificate).raw);
    assert.deepEqual(facts.names.dns, ['east.cluster.identity.cluster.local']);
    assert.deepEqual(facts.names.uri, ['spiffe://cluster.local']);
    assert.equal(facts.pathLength, 0);
    assert.deepEqual(facts.keyUsage, { digitalSignature: false, keyCertSign: true, cRLSign: true });
    assert.ok(Math.abs(facts.notAfter - now - 365 * DAY_MS) < DAY_MS);
  });

  test('ends with its anchor', async () => {
    const short = await createTrustAnchor({ lifetimeMs: DAY_MS });
    const facts = readCertificate(
      new X509Certificate((await createIssuer({ anchor: short, ...east })).certificate).raw,
    );
    assert.ok(facts.notAfter <= Date.now() + DAY_MS);
  });

  test('is not made by what is no CA, has expired, is an issuer, or has another key', async () => {
    const other = await createTrustAnchor();
    const old = await createTrustAnchor({ now: now - 10 * DAY_MS, lifetimeMs: DAY_MS });
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const leaf = issueLeaf(
      material.signer,
      keys.publicKey.export({ type: 'spki', format: 'der' }),
      { ...east, namespace: 'a', serviceAccount: 'b', meshNamespace: 'isthmus' },
      now,
    );
    const leafPem = {
      certificate: new X509Certificate(leaf.certificate).toString(),
      key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    };
    await assert.rejects(
      createIssuer({ anchor: { ...anchor, key: other.key }, ...east }),
      /not the key of its certificate/,
    );
    await assert.rejects(createIssuer({ anchor: old, ...east }), /expired at/);
    await assert.rejects(createIssuer({ anchor: issuer, ...east }), /path length 0/);
    await assert.rejects(createIssuer({ anchor: leafPem, ...east }), /not a CA certificate/);
    await assert.rejects(
      createIssuer({ anchor: { ...anchor, certificate: 'x' }, ...east }),
      /not a PEM certificate/,
    );
    await assert.rejects(
      createIssuer({ anchor, clusterId: 'East_1', trustDomain: TRUST_DOMAIN }),
      /not a cluster id/,
    );
  });

  test('from a Secret is refused when it is of another anchor, another cluster, or has another key', async () => {
    const stranger = await createIssuer({ anchor: await createTrustAnchor(), ...east });
    const west = await createIssuer({ anchor, clusterId: 'west', trustDomain: TRUST_DOMAIN });
    const read = (pem: typeof issuer) => () => readIssuer(pem, anchors, east, now);
    assert.throws(read(stranger), /does not chain to a current trust anchor/);
    assert.throws(read(west), /certified for west\.cluster/);
    assert.throws(read({ ...issuer, key: stranger.key }), /not the key of tls\.crt/);
    assert.throws(read({ ...issuer, certificate: 'garbage' }), /no PEM certificate/);
    assert.throws(() => readIssuer(issuer, anchors, east, now + 366 * DAY_MS), /expired/);
  });
});

/** DNS labels as Kubernetes takes them. */
const labelText = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/);

describe('a leaf', () => {
  test('is read alike by Node, by the X.509 library and by us, and is accepted by the verifier', async () => {
    const x509 = await x509Library();
    const verifier = new PeerVerifier({
      trustDomain: TRUST_DOMAIN,
      trust: () => ({ version: 1, sequence: 1n, anchors }),
      now: () => now,
    });
    await fc.assert(
      fc.asyncProperty(labelText, labelText, async (namespace, serviceAccount) => {
        const names = { ...east, namespace, serviceAccount, meshNamespace: 'isthmus' };
        const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const csr = readCsr(writeCsr(pair, dnsIdentity(names)));
        assert.deepEqual(csr.names, { dns: [dnsIdentity(names)], uri: [], others: 0 });
        const { certificate, notAfter } = issueLeaf(material.signer, csr.publicKey, names, now);

        const node = new X509Certificate(certificate);
        assert.equal(node.subjectAltName, `DNS:${dnsIdentity(names)}, URI:${spiffeId(names)}`);
        assert.equal(node.ca, false);
        assert.ok(node.checkPrivateKey(pair.privateKey));
        assert.ok(node.verify(createPublicKey(issuer.key)));
        assert.ok(node.checkIssued(new X509Certificate(issuer.certificate)));
        assert.equal(node.validToDate.getTime(), notAfter);
        assert.equal(notAfter, Math.floor((now + LEAF_LIFETIME_MS) / 1000) * 1000);
        assert.equal(node.validFromDate.getTime(), Math.floor((now - CLOCK_SKEW_MS) / 1000) * 1000);

        const library = new x509.X509Certificate(certificate);
        const issuerKey = new x509.X509Certificate(issuer.certificate).publicKey;
        assert.ok(await library.verify({ publicKey: issuerKey, signatureOnly: true }));
        assert.equal(library.subject, '');
        assert.ok(library.getExtension('2.5.29.17')?.critical);
        assert.ok(library.getExtension('2.5.29.15')?.critical);
        assert.deepEqual(
          [...(library.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [])],
          ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
        );
        assert.equal(
          library.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId,
          new x509.X509Certificate(issuer.certificate).getExtension(x509.SubjectKeyIdentifierExtension)
            ?.keyId,
        );

        const judged = verifier.verify(node, () => material.chain);
        assert.ok(!(judged instanceof VerifyError), 'the verifier refused it');
        assert.equal(judged.spiffeId, spiffeId(names));
      }),
      { numRuns: 30 },
    );
  });

  test('never outlives its issuer, and no two share a serial number', async () => {
    const short = await createIssuer({ anchor, ...east, lifetimeMs: 3_600_000 });
    const { signer } = readIssuer(short, anchors, east, now);
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = publicKey.export({ type: 'spki', format: 'der' });
    const names = { ...east, namespace: 'a', serviceAccount: 'b', meshNamespace: 'isthmus' };
    const leaves = Array.from({ length: 20 }, () => issueLeaf(signer, key, names, now));
    for (const leaf of leaves) assert.ok(leaf.notAfter <= signer.notAfter);
    assert.ok((leaves[0]?.notAfter ?? 0) > signer.notAfter - 1_000);
    assert.equal(new Set(leaves.map((leaf) => new X509Certificate(leaf.certificate).serialNumber)).size, 20);
  });

  test('holds for openssl verify', { skip: !hasOpenssl }, () =>
    inFolder(async (dir) => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = { ...east, namespace: 'shop', serviceAccount: 'web', meshNamespace: 'isthmus' };
      const leaf = issueLeaf(material.signer, publicKey.export({ type: 'spki', format: 'der' }), names, now);
      const file = (name: string) => join(dir, name);
      await writeFile(file('anchor'), anchor.certificate);
      await writeFile(file('issuer'), issuer.certificate);
      await writeFile(file('leaf'), new X509Certificate(leaf.certificate).toString());
      const verify = ['verify', '-x509_strict', '-CAfile', file('anchor'), '-untrusted', file('issuer')];
      for (const purpose of ['sslserver', 'sslclient']) {
        const output = execFileSync('openssl', [...verify, '-purpose', purpose, file('leaf')], {
          encoding: 'utf8',
        });
        assert.match(output, /: OK/);
      }
    }),
  );
});
