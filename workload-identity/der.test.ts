import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as der from './der.ts';
import { readCertificate } from './der-certificate.ts';
import { readCsr, writeCsr } from './der-csr.ts';
import {
  makeAnchor,
  makeCertificate,
  makeIssuer,
  makeLeaf,
  requestedKey,
  workload,
  x509,
} from './testing/test-ca.ts';

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const NAME = 'web.shop.serviceaccount.identity.isthmus.cluster.local';
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

function derError(message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof der.DerError, String(error));
    assert.match(error.message, message);
    return true;
  };
}

describe('DER', () => {
  test('elements of any length are read as they were written', () => {
    const lengths = fc.oneof(fc.nat(300), fc.constantFrom(127, 128, 255, 256, 65_535, 65_536, 70_000));
    fc.assert(
      fc.property(lengths, (length) => {
        const content = Buffer.alloc(length, 0x5a);
        const bytes = der.octetString(content);
        const reader = new der.DerReader(bytes);
        const read = reader.expect(der.tag.octetString);
        reader.end();
        assert.ok(read.content.equals(content) && read.raw.equals(bytes));
      }),
    );
  });

  test('object identifiers, integers and times are read as they were written', () => {
    const arc = fc.oneof(fc.nat(200), fc.nat(2 ** 31));
    fc.assert(
      fc.property(fc.nat(2), fc.nat(39), fc.array(arc, { maxLength: 8 }), (root, second, arcs) => {
        const dotted = [root, second, ...arcs].join('.');
        assert.equal(new der.DerReader(der.oid(dotted)).oid(), dotted);
      }),
    );
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (value) => {
        assert.equal(new der.DerReader(der.smallInteger(value)).smallInteger(), value);
      }),
    );
    const seconds = fc.integer({ min: -631_152_000, max: 253_402_300_799 });
    fc.assert(
      fc.property(seconds, (second) => {
        assert.equal(der.decodeTime(new der.DerReader(der.time(second * 1000)).read()), second * 1000);
      }),
    );
  });

  test('every other form of the same value is refused', () => {
    const read = (hex: string) => () => new der.DerReader(Buffer.from(hex, 'hex')).read();
    assert.throws(read('0481050000000000'), derError(/shortest form/));
    assert.throws(read('04820080' + '00'.repeat(128)), derError(/shortest form/));
    assert.throws(read('04800000'), derError(/forbids/));
    assert.throws(read('0484000000ff'), derError(/forbids/));
    assert.throws(read('1f8101'), derError(/more than one byte/));
    assert.throws(read('0405aabb'), derError(/end inside/));
    assert.throws(read('04'), derError(/end inside/));
    const boolean = () => new der.DerReader(Buffer.from('010101', 'hex')).boolean();
    assert.throws(boolean, derError(/boolean/));
    const paddedOid = () => new der.DerReader(Buffer.from('06032a8001', 'hex')).oid();
    assert.throws(paddedOid, derError(/shortest form/));
    const noDay = Buffer.from('170d3236303233313030303030305a', 'hex');
    assert.throws(() => der.decodeTime(new der.DerReader(noDay).read()), derError(/does not exist/));
  });

  test('garbage never leads to anything but a DerError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const parse of [readCertificate, readCsr]) assert.throws(() => parse(bytes), der.DerError);
      }),
    );
  });
});

describe('a certificate', async () => {
  const anchor = await makeAnchor();
  const issuer = await makeIssuer(anchor, 'east');
  const leaf = await makeLeaf(issuer, workload('web'));

  test('is read as Node reads it', () => {
    for (const made of [anchor, issuer, leaf]) {
      const facts = readCertificate(made.x509.raw);
      assert.equal(facts.ca, made.x509.ca);
      assert.equal(facts.notBefore, made.x509.validFromDate.getTime());
      assert.equal(facts.notAfter, made.x509.validToDate.getTime());
      const key = createPublicKey({ key: facts.publicKey, format: 'der', type: 'spki' });
      assert.ok(key.equals(made.x509.publicKey));
      const names = [...facts.names.dns.map((n) => `DNS:${n}`), ...facts.names.uri.map((n) => `URI:${n}`)];
      assert.deepEqual(names.sort(), made.x509.subjectAltName?.split(', ').sort());
    }
    assert.deepEqual(readCertificate(leaf.x509.raw).extendedKeyUsage, leaf.x509.keyUsage);
  });

  test('with any byte changed is refused as DER, or read without surprise', () => {
    fc.assert(
      fc.property(fc.nat(leaf.x509.raw.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Buffer.from(leaf.x509.raw);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        try {
          readCertificate(bytes);
        } catch (error) {
          assert.ok(error instanceof der.DerError, String(error));
        }
      }),
    );
  });

  test('with an extension twice, or with a name that is not ASCII, is refused', async () => {
    const san = new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'other' }]);
    const twice = await makeCertificate({ issuer, dns: ['a'], extraExtensions: [san] });
    assert.throws(() => readCertificate(twice.x509.raw), derError(/stands twice/));
    const withNul = new X509Certificate(leaf.x509.raw).raw;
    const bytes = Buffer.from(withNul);
    bytes[bytes.indexOf('web.shop') + 3] = 0;
    assert.throws(() => readCertificate(bytes), derError(/printable ASCII/));
  });
});

describe('a certificate request', () => {
  test('is read by the X.509 library, which finds its signature good', async () => {
    const csr = writeCsr(keys, NAME);
    const request = new x509.Pkcs10CertificateRequest(csr);
    assert.equal(request.subject, '');
    assert.ok(await request.verify());
    assert.ok(requestedKey(csr).equals(keys.publicKey));
    const san = request.getExtension('2.5.29.17');
    assert.ok(san instanceof x509.SubjectAlternativeNameExtension);
    assert.deepEqual(san.names.toJSON(), [{ type: 'dns', value: NAME }]);
  });

  test('is good for openssl', { skip: !hasOpenssl }, () => {
    const text = execFileSync('openssl', ['req', '-inform', 'DER', '-verify', '-noout', '-text'], {
      input: writeCsr(keys, NAME),
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    assert.match(text, new RegExp(`DNS:${NAME.replaceAll('.', '\\.')}`));
  });

  test('of the X.509 library is read with all its names', async () => {
    const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=web',
      keys: pair,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'a' },
          { type: 'url', value: 'spiffe://b/c' },
          { type: 'ip', value: '127.0.0.1' },
          { type: 'email', value: 'a@b' },
        ]),
      ],
    });
    const facts = readCsr(new Uint8Array(request.rawData));
    assert.deepEqual(facts.names, { dns: ['a'], uri: ['spiffe://b/c'], others: 2 });
    assert.deepEqual(facts.commonNames, ['web']);
  });

  test("with another's key is refused: whoever asks must hold the key", () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = writeCsr({ publicKey: other.publicKey, privateKey: keys.privateKey }, NAME);
    assert.throws(() => readCsr(forged), derError(/does not hold the private key/));
  });

  test('with an RSA key, or with bytes behind it, is refused', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    assert.throws(() => readCsr(writeCsr(rsa, NAME)), derError(/P-256/));
    assert.throws(
      () => readCsr(Buffer.concat([writeCsr(keys, NAME), Buffer.from([0])])),
      derError(/after the end/),
    );
  });
});
