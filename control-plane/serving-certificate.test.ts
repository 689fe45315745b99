import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';

import { makeServingCertificate } from './serving-certificate.ts';

const NAME = 'isthmus-injector.isthmus.svc';
const HOUR = 3_600_000;

function make() {
  const now = Math.floor(Date.now() / 1000) * 1000;
  return makeServingCertificate({ dnsNames: [NAME], notBefore: now - HOUR, notAfter: now + HOUR });
}

test('the certificate is for the name, for its key, and signed by the CA', () => {
  const made = make();
  const certificate = new X509Certificate(made.certificate);
  const ca = new X509Certificate(made.ca);
  assert.equal(certificate.subjectAltName, `DNS:${NAME}`);
  assert.equal(certificate.ca, false);
  assert.equal(ca.ca, true);
  assert.ok(certificate.checkIssued(ca));
  assert.ok(certificate.verify(ca.publicKey));
  assert.ok(ca.verify(ca.publicKey));
  assert.ok(certificate.checkPrivateKey(createPrivateKey(made.key)));
  assert.equal(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom), 2 * HOUR);
});

test('a client that trusts the CA accepts it, one that trusts another made the same way does not', async () => {
  const made = make();
  const server = createServer({ cert: made.certificate, key: made.key }, (socket) => socket.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const attempt = async (ca: string): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, ca, servername: NAME });
    try {
      await once(socket, 'secureConnect');
      return 'accepted';
    } catch (error) {
      return (error as { code?: string }).code ?? 'failed';
    } finally {
      socket.destroy();
    }
  };
  assert.equal(await attempt(made.ca), 'accepted');
  assert.notEqual(await attempt(make().ca), 'accepted');
  server.close();
  await once(server, 'close');
});
