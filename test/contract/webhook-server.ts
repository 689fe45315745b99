import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { webhookHost } from '../testing/api-server.ts';
import { isObject, type Json } from './json.ts';

// The library reads what this one sets up, and so has to come after it.
await import('reflect-metadata');
const { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } =
  await import('@peculiar/x509');

/** What a webhook says to a review; undefined: it never answers. A string is sent as it is. */
export type Respond = (request: Json) => Json | string | undefined;

export interface WebhookServer {
  readonly url: string;
  /** base64 of the PEM, for clientConfig. */
  readonly caBundle: string;
  /** The requests of the reviews, in order. */
  readonly reviews: Json[];
  close(): Promise<void>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** An admission webhook in this process, reached by its `url`. */
export async function startWebhook(respond: Respond): Promise<WebhookServer> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=contract-webhook',
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    extensions: [
      new BasicConstraintsExtension(true),
      new SubjectAlternativeNameExtension([{ type: 'ip', value: webhookHost }]),
    ],
  });
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const cert = certificate.toString('pem');
  const reviews: Json[] = [];
  const server = createServer(
    { cert, key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` },
    (request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      request.on('end', () => {
        const review: unknown = (JSON.parse(text) as Json)['request'];
        if (!isObject(review)) return;
        reviews.push(review);
        const answer = respond(review);
        if (answer === undefined) return;
        response.setHeader('content-type', 'application/json');
        response.end(
          typeof answer === 'string'
            ? answer
            : JSON.stringify({
                kind: 'AdmissionReview',
                apiVersion: 'admission.k8s.io/v1',
                response: { uid: review['uid'], ...answer },
              }),
        );
      });
    },
  );
  server.listen(0, webhookHost);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://${webhookHost}:${port}/admit`,
    caBundle: Buffer.from(cert).toString('base64'),
    reviews,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** JSON patch in an answer. */
export function patching(operations: readonly Json[]): Json {
  return {
    allowed: true,
    patchType: 'JSONPatch',
    patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
  };
}
