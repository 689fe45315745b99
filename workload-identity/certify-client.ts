import { readFileSync } from 'node:fs';
import { methods } from '../api/proto/methods.ts';
import { createChannel } from './grpc-client.ts';
import type { ChannelOptions } from './grpc-types.ts';

/** ms; issuing takes a TokenReview and a signature. */
const CERTIFY_DEADLINE_MS = 10_000;

/** What an issuer answers to a request. */
export interface IssuedCertificate {
  /** DER. */
  leaf: Uint8Array;
  /** DER, the leaf's issuer first. */
  intermediates: readonly Uint8Array[];
  /** ms since the epoch. */
  validUntil: number;
}

/** Gets a certificate for `identity` (a DNS identity) by a request in DER. Rejects when there is none; it is called again later. */
export type Certifier = (request: { identity: string; csr: Uint8Array }) => Promise<IssuedCertificate>;

/**
 * Asks the identity service. The token file is read for every request, since the kubelet renews it; each request has a connection of its own, as Linkerd's
 * proxy does, so that none stands idle for 16 hours.
 */
export function createCertifyClient(options: ChannelOptions & { tokenFile: string }): Certifier {
  return async ({ identity, csr }) => {
    const token = readToken(options.tokenFile);
    const channel = createChannel(options);
    try {
      const answer = await channel.unary(
        methods.certify,
        { identity, token, certificateSigningRequest: csr },
        { deadlineMs: CERTIFY_DEADLINE_MS },
      );
      if (answer.validUntil === undefined)
        throw new Error('the identity service answered without valid_until');
      return {
        leaf: answer.leafCertificate,
        intermediates: answer.intermediateCertificates,
        validUntil: Number(answer.validUntil.seconds) * 1000,
      };
    } finally {
      channel.close();
    }
  };
}

function readToken(file: string): Uint8Array {
  const token = readFileSync(file);
  if (token.length === 0) throw new Error(`the token file ${file} is empty`);
  return token;
}
